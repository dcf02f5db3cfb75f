package import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage

extension GCSStore {
  /// What the bucket does to our objects on its own. A rule that can't be read is reported as such.
  package func bucketFindings() async throws -> [Finding] {
    let unknown = "it is not known whether the bucket expires objects"
    let request = StoreRequest(
      action: .list, method: .get, path: bucketPath, query: [("fields", GCSBucketRules.fields)],
      object: object(""))
    do {
      let reply = try await exchange.client.blocking {
        try await exchange.send(request, accepting: [200])
      }
      guard let rules = GCSBucketRules(reply.body, prefix: gcs.prefix) else {
        return [
          Finding(
            .bucket, "rules", .warning, "the reply is invalid", consequence: unknown,
            remedy: "check in the console")
        ]
      }
      return rules.findings
    } catch let refusal as GCSRefusal {
      let isDenied = refusal.fault.status == 403
      return [
        Finding(
          .bucket, "rules", .warning,
          isDenied
            ? "these credentials may not read them"
            : "can't be read: \(refusal.error.cause ?? refusal.error.message)",
          consequence: unknown,
          remedy: isDenied
            ? "grant storage.buckets.get (roles/storage.bucketViewer), or check in the console"
            : nil
        )
      ]
    } catch let error as LifeboatError {
      return [
        Finding(.bucket, "rules", failed: error, consequence: unknown, verdict: .warning)
      ]
    }
  }
}
