package import BackupTypes
import CloudAuth
import HTTPTransport

extension S3Store {
  /// What the bucket itself does to our objects. A rule that may not be read is reported as such.
  package func bucketFindings() async throws -> [Finding] {
    let rules = S3BucketRules(prefix: s3.prefix)
    let lifecycle = try await configuration(
      "lifecycle", absent: ["NoSuchLifecycleConfiguration"], asks: "s3:GetLifecycleConfiguration")
    let versioning = try await configuration(
      "versioning", absent: [], asks: "s3:GetBucketVersioning")
    let lock = try await configuration(
      "object-lock", absent: ["ObjectLockConfigurationNotFoundError", "InvalidRequest"],
      asks: "s3:GetBucketObjectLockConfiguration")
    var findings: [Finding] = []
    switch lifecycle {
    case .found(let root): findings += rules.lifecycle(root)
    case .absent: findings.append(Finding(.bucket, "lifecycle", .ok, "there are no rules"))
    case .unknown(let finding): findings.append(finding)
    }
    switch versioning {
    case .found(let root):
      var expires = false
      if case .found(let root) = lifecycle { expires = rules.expiresOldVersions(root) }
      findings.append(rules.versioning(root, expiresOldVersions: expires))
    case .absent: findings.append(Finding(.bucket, "versioning", .note, "there is none"))
    case .unknown(let finding): findings.append(finding)
    }
    switch lock {
    case .found(let root): findings.append(rules.objectLock(root))
    case .absent: findings.append(Finding(.bucket, "object-lock", .ok, "there is none"))
    case .unknown(let finding): findings.append(finding)
    }
    return findings
  }

  private enum Configuration {
    case found(XMLElement)
    case absent
    case unknown(Finding)
  }

  private func configuration(
    _ name: String, absent: Set<String>, asks permission: String
  ) async throws -> Configuration {
    var request = request(.list, .get, key: nil, name: "")
    request.query = [(name, "")]
    do {
      let reply = try await exchange.client.blocking {
        try await exchange.send(request, accepting: [200])
      }
      return .found(try XMLElement(parsing: reply.body))
    } catch let refusal as S3Refusal {
      if absent.contains(refusal.fault.code) { return .absent }
      // A store without this feature says so in one of these ways.
      if refusal.fault.status == 501 || refusal.fault.status == 405 { return .absent }
      let isDenied = refusal.fault.status == 403
      return .unknown(
        Finding(
          .bucket, name, .warning,
          isDenied
            ? "these credentials may not read it"
            : "can't be read: \(refusal.error.cause ?? refusal.error.message)",
          consequence: "it is not known whether the bucket expires objects",
          remedy: isDenied ? "allow \(permission), or check in the console" : nil))
    } catch let error as LifeboatError {
      return .unknown(
        Finding(
          .bucket, name, failed: error,
          consequence: "it is not known whether the bucket expires objects",
          verdict: .warning))
    }
  }
}
