package import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import Synchronization

extension AzureStore {
  /// What the container and its account do to our objects on their own. A finding says if something can't be
  /// read.
  package func bucketFindings() async throws -> [Finding] {
    try await exchange.client.blocking {
      var rules = AzureContainerRules()
      rules.keepsVersions = exchange.session.state.withLock { $0.keepsVersions }
      var findings: [Finding] = []
      do {
        rules.container = try await look(containerPath, [("restype", "container")]).headers
      } catch let refusal as AzureRefusal {
        findings.append(unknown(refusal.error))
      } catch let error as LifeboatError {
        return [unknown(error)]
      }
      // Both belong to the account. A signature or a role for the container alone can't read them.
      rules.account = await optional(
        containerPath, [("restype", "account"), ("comp", "properties")])?.headers
      rules.service = await optional("/", [("restype", "service"), ("comp", "properties")])?.body
      return findings + rules.findings
    }
  }

  private func unknown(_ error: LifeboatError) -> Finding {
    Finding(
      .bucket, "container", failed: error,
      consequence: "it is not known whether a policy protects the container's objects, or whether"
        + " it is"
        + " public", verdict: .warning)
  }

  private func look(_ path: String, _ query: [(String, String)]) async throws -> HTTPResponse {
    try await exchange.send(
      StoreRequest(action: .read, method: .get, path: path, query: query, object: object("")),
      accepting: [200])
  }

  private func optional(_ path: String, _ query: [(String, String)]) async -> HTTPResponse? {
    try? await look(path, query)
  }
}
