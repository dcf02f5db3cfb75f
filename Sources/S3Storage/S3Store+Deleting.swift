import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import Synchronization

extension S3Store {
  /// Uses one request for as many objects as it can name.
  func delete(
    batch: [(name: String, key: String)]
  ) async throws -> [String: LifeboatError] {
    guard !session.snapshot.lacksBatchDelete, let body = S3Deletion.body(batch.map(\.key)) else {
      return try await deleteSingly(batch)
    }
    var request = request(.delete, .post, key: nil, name: "")
    request.query = [("delete", "")]
    request.headers = [("Content-Type", "application/xml"), ("Content-MD5", contentMD5(body))]
    request.body = body
    let answer: (reply: HTTPResponse, accessKeyID: String?)
    do {
      answer = try await exchange.answer(request, accepting: [200])
    } catch let refusal as S3Refusal where [405, 501].contains(refusal.fault.status) {
      session.state.withLock { $0.lacksBatchDelete = true }
      return try await deleteSingly(batch)
    }
    let names = Dictionary(batch.map { ($0.key, $0.name) }) { first, _ in first }
    var failures: [String: LifeboatError] = [:]
    for (key, fault) in try S3Deletion.failures(answer.reply.body) where fault.code != "NoSuchKey" {
      let name = names[key] ?? key
      failures[name] = fault.error(.delete, object(name), accessKeyID: answer.accessKeyID)
    }
    return failures
  }

  private func deleteSingly(
    _ batch: [(name: String, key: String)]
  ) async throws -> [String: LifeboatError] {
    var failures: [String: LifeboatError] = [:]
    for (name, key) in batch {
      do {
        let single = request(.delete, .delete, key: key, name: name)
        _ = try await exchange.send(single, accepting: [200, 204])
      } catch let refusal as S3Refusal {
        if refusal.fault.code == "NoSuchKey" { continue }
        // The store works and refuses this object; the others may still succeed.
        guard refusal.fault.code != "NoSuchBucket" else { throw refusal }
        failures[name] = refusal.error
      }
    }
    return failures
  }
}
