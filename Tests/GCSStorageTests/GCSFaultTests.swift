import BackupTypes
import GCSStorage
import HTTPTransport
import ObjectStorage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Faults in the network and in the service.
@Suite(.timeLimit(.minutes(5))) struct GCSFaultTests {
  private let faults = CloudFaults<FakeGCSServer>("gs://bucket/some/prefix") { change in
    let cloud = try Cloud(change)
    return (cloud.gcs, { try cloud.store(limits: $0 ?? .forTests) })
  }

  @Test(arguments: CloudFaults<FakeGCSServer>.names)
  func `every operation comes through`(_ name: String) async throws {
    try await faults.comesThrough(name)
  }

  @Test func `without retries every fault is a retryable error that names the object`()
    async throws
  {
    try await faults.areNamed(creationHasBody: true)
  }

  @Test func `Retry-After holds every request back`() async throws {
    try await faults.waitsAsLongAsTheServerSays()
  }

  @Test func `a cancelled call ends`() async throws {
    try await faults.cancelledCallEnds()
  }

  @Test func `only a complete listing proves that something is absent`() async throws {
    let replies = [
      LoopbackReply(404), LoopbackReply(404, text: "<html>not found</html>"),
      LoopbackReply(404, text: "No such object: bucket/some/prefix/x"),
      FakeGCSServer.error(404, "notFound"), FakeGCSServer.error(403, "forbidden"),
      LoopbackReply(204),
    ]
    for reply in replies {
      // A proxy or a missing bucket sends the same reply to everything.
      let cloud = try Cloud { $0.fault = { _ in .instead(.reply(reply)) } }
      let store = try cloud.store()
      for work in [
        { _ = try await store.read("x") },
        { _ = try await store.list(prefix: "", continuing: nil) },
        { _ = try await store.now() },
      ] as [() async throws -> Void] {
        let error = try await failure(work)
        #expect(error.code == .storeUnavailable, "\(reply): \(error)")
      }
    }
  }

  @Test func `a download that fails though its object is listed is no absence`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store()
    _ = try await store.create("x", [1])
    cloud.gcs.change {
      $0.fault = { $0.target.contains("alt=media") ? .instead(.reply(LoopbackReply(404))) : nil }
    }
    #expect(try await failure { _ = try await store.read("x") }.isRetryable)
  }

  @Test func `an unreadable page is no empty listing`() async throws {
    for body in [
      "", "{}", "[]", "null", "{\"items\":[]}", "{\"kind\":\"storage#bucket\"}", "<html></html>",
      "{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"some/prefix/x\"}]}",
      "{\"kind\":\"storage#objects\",\"items\":[",
    ] {
      let cloud = try Cloud { $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: body))) } }
      let error = try await failure {
        _ = try await cloud.store().list(prefix: "", continuing: nil)
      }
      #expect(error.isRetryable && error.message.contains("can't list"), "\(body): \(error)")
    }
  }

  @Test func `a listing of something else is refused`() async throws {
    let body = """
      {"kind":"storage#objects",
      "items":[{"name":"other/x","size":"1","timeCreated":"2026-11-22T14:02:07Z"}]}
      """
    let cloud = try Cloud { $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: body))) } }
    let error = try await failure {
      _ = try await cloud.store().list(prefix: "", continuing: nil)
    }
    #expect(error.message.contains("not requested"))
  }

  @Test func `an answer that is not Google's is no proof of a new object`() async throws {
    let cloud = try Cloud {
      $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: "<html>welcome</html>"))) }
    }
    #expect(try await failure { _ = try await cloud.store().create("x", [1]) }.isRetryable)
  }

  // MARK: Damage

  @Test func `bytes damaged on the way there are refused`() async throws {
    try await faults.refusesBytesDamagedOnTheWayThere("CRC32C")
  }

  @Test func `an object that is not what was sent does not stay`() async throws {
    try await faults.removesWhatIsNotWhatWasSent()
  }

  @Test func `bytes damaged on the way back are refused`() async throws {
    try await faults.refusesBytesDamagedOnTheWayBack("CRC-32C")
  }

  @Test func `a reply that may be cut is refused`() async throws {
    try await faults.refusesReplyThatMayBeCut()
  }

  // MARK: Deleting

  @Test func `what can't be deleted is told by name`() async throws {
    try await faults.namesWhatIsNotDeleted(
      FakeGCSServer.error(403, "retentionPolicyNotMet"), "retention")
  }

  @Test func `deletions go in parallel, and not too many`() async throws {
    try await faults.deletesInParallel(width: 4, further: 1)
  }

  @Test func `deletions come through a way that loses some`() async throws {
    try await faults.deletesOnAWayThatLosesSome()
  }

  @Test func `a store that does nothing is not asked for each deletion`() async throws {
    try await faults.givesUpOnAStoreThatDoesNothing()
  }
}
