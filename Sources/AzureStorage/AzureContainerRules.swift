import BackupTypes
import CloudAuth
import HTTPTransport

/// The rules by which a container and its account change or keep objects on their own. A pure function of
/// their replies (Get Container Properties, Get Account Information, Get Blob Service Properties). A reply is
/// nil if it could not be requested.
struct AzureContainerRules {
  var container: HTTPHeaders?
  var account: HTTPHeaders?
  /// The body of the blob service properties.
  var service: [UInt8]?
  /// Whether a new object got a version id.
  var keepsVersions: Bool?

  var findings: [Finding] {
    [lifecycle, versioning, softDelete, immutability, access, namespace].compactMap { $0 }
  }

  /// Lifecycle rules belong to account management. Credentials for data can't read them.
  private var lifecycle: Finding {
    Finding(
      .bucket, "lifecycle", .note,
      "rules can't be read with credentials for data: look at Lifecycle management in the portal,"
        + " or run az storage account management-policy show; no rule may delete or archive objects"
        + " of this prefix")
  }

  private var versioning: Finding? {
    switch keepsVersions {
    case nil: nil
    case false?:
      Finding(.bucket, "versioning", .note, "off: overwritten objects can't be recovered")
    case true?:
      Finding(
        .bucket, "versioning", .note,
        "on: objects that Lifeboat deletes stay as old versions, and cost money until a lifecycle"
          + " rule deletes them")
    }
  }

  private var softDelete: Finding {
    guard let service, let root = try? XMLElement(parsing: service),
      root.name == "StorageServiceProperties"
    else {
      return Finding(
        .bucket, "soft-delete", .note, "not known: these credentials may not read it")
    }
    guard let policy = root["DeleteRetentionPolicy"], policy["Enabled"]?.text == "true" else {
      return Finding(.bucket, "soft-delete", .note, "off: deleted objects can't be recovered")
    }
    let days = policy["Days"].flatMap { Int($0.text) }.map { " for \(counted($0, "day"))" } ?? ""
    return Finding(.bucket, "soft-delete", .note, "deleted objects stay\(days), and cost money")
  }

  private var immutability: Finding? {
    guard let container else { return nil }
    let hold = container["x-ms-has-legal-hold"]?.lowercased() == "true"
    let policy = container["x-ms-has-immutability-policy"]?.lowercased() == "true"
    guard hold || policy else {
      return Finding(.bucket, "immutability", .ok, "there is neither a policy nor a legal hold")
    }
    guard hold else {
      return Finding(
        .bucket, "immutability", .note,
        "a policy keeps every object for a time: nobody can delete it earlier, and it costs money that long"
      )
    }
    return Finding(
      .bucket, "immutability", .warning, "a legal hold protects every object",
      consequence:
        "nobody can delete an object until the hold is cleared, and all of them cost money",
      remedy: "clear the hold when it is no longer needed; prune then deletes what it could not")
  }

  private var access: Finding? {
    guard let container else { return nil }
    guard let level = container["x-ms-blob-public-access"] else {
      return Finding(.bucket, "public-access", .ok, "off")
    }
    return Finding(
      .bucket, "public-access", .failed, "anyone can read the container (\(printable(level)))",
      consequence: "backups hold all of Redis's data",
      remedy: "az storage container set-permission --public-access off")
  }

  private var namespace: Finding? {
    guard let flag = account?["x-ms-is-hns-enabled"]?.lowercased() else { return nil }
    guard flag == "true" else {
      return Finding(.bucket, "hierarchical-namespace", .ok, "off")
    }
    return Finding(
      .bucket, "hierarchical-namespace", .warning,
      "the account has a hierarchical namespace (ADLS Gen2)",
      consequence: "empty directories are left where objects were deleted",
      remedy: "it works; a flat account is better: the namespace can't be switched off, so make a"
        + " new account")
  }
}
