package import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage

extension S3Store {
  /// What the bucket itself does to our objects. A rule that may not be read is reported as such.
  /// - Parameter probe: the name of an object that may be created, overwritten and deleted.
  package func bucketFindings(probe: String) async throws -> [Finding] {
    let rules = S3BucketRules(prefix: s3.prefix)
    let lifecycle = try await configuration(
      "lifecycle", absent: ["NoSuchLifecycleConfiguration"], asks: "s3:GetLifecycleConfiguration")
    let versioning = try await configuration(
      "versioning", absent: [], asks: "s3:GetBucketVersioning")
    let lock = try await configuration(
      "object-lock", absent: ["ObjectLockConfigurationNotFoundError", "InvalidRequest"],
      asks: "s3:GetBucketObjectLockConfiguration")
    let overwriting = try await overwriting(probe)
    var keepsVersions: Bool?
    var findings: [Finding] = []
    switch lifecycle {
    case .found(let root): findings += rules.lifecycle(root)
    case .absent: findings.append(Finding(.bucket, "lifecycle", .ok, "there are no rules"))
    case .unknown(let finding): findings.append(finding)
    }
    switch versioning {
    case .found(let root):
      var days: Int?
      if case .found(let root) = lifecycle { days = rules.oldVersionsExpire(root) }
      findings.append(rules.versioning(root, oldVersionsExpire: days))
      keepsVersions = rules.keepsVersions(root)
    case .absent:
      findings.append(Finding(.bucket, "versioning", .note, "there is none"))
      keepsVersions = false
    case .unknown(let finding): findings.append(finding)
    }
    switch lock {
    case .found(let root): findings.append(rules.objectLock(root))
    case .absent: findings.append(Finding(.bucket, "object-lock", .note, "there is none"))
    case .unknown(let finding): findings.append(finding)
    }
    findings.append(rules.overwriting(overwriting, keepsVersions: keepsVersions))
    return findings
  }

  /// Tries to overwrite an object of our own, with a PUT that has no condition: what anyone who has these
  /// credentials can do to any object.
  private func overwriting(_ name: String) async throws -> S3BucketRules.Overwriting {
    let bytes = Array("lifeboat probe\n".utf8)
    do {
      guard try await create(name, bytes) == .created else { return .unknown("\(name) exists") }
      var request = request(.create, .put, key: try key(name), name: name)
      request.body = bytes
      request.headers = createHeaders(session.snapshot, bytes).filter { $0.0 != "If-None-Match" }
      var result: S3BucketRules.Overwriting
      do {
        _ = try await exchange.client.blocking {
          try await exchange.send(request, accepting: [200, 201, 204])
        }
        result = .allowed(mayDelete: true)
      } catch let refusal as S3Refusal {
        result = refusal.fault.status == 403 ? .refused : .unknown(refusal.error.inOneLine)
      }
      let isDeleted = (try? await delete([name]))?.isEmpty == true
      if case .allowed = result { result = .allowed(mayDelete: isDeleted) }
      return result
    } catch let error as LifeboatError {
      return .unknown(error.inOneLine)
    }
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
          consequence: "it is not known what the bucket does to objects",
          remedy: isDenied ? "allow \(permission), or check in the console" : nil))
    } catch let error as LifeboatError {
      return .unknown(
        Finding(
          .bucket, name, failed: error,
          consequence: "it is not known what the bucket does to objects",
          verdict: .warning))
    }
  }
}
