import AzureStorage
import BackupTypes
import HTTPTransport
import ObjectStorage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Faults in the network and in the service.
@Suite(.timeLimit(.minutes(5))) struct AzureFaultTests {
  private let faults = CloudFaults<FakeAzureServer>("az://container/some/prefix") { change in
    let cloud = try Cloud(change)
    return (cloud.azure, { try cloud.store(limits: $0 ?? .forTests) })
  }

  @Test(arguments: CloudFaults<FakeAzureServer>.names)
  func `every operation comes through`(_ name: String) async throws {
    try await faults.comesThrough(name)
  }

  @Test func `without retries every fault is a retryable error that names the object`()
    async throws
  {
    try await faults.areNamed(creationHasBody: false)
  }

  @Test func `Retry-After holds every request back`() async throws {
    try await faults.waitsAsLongAsTheServerSays()
  }

  @Test func `a cancelled call ends`() async throws {
    try await faults.cancelledCallEnds()
  }

  @Test func `only BlobNotFound proves that something is absent`() async throws {
    let replies = [
      LoopbackReply(404), LoopbackReply(404, text: "<html>not found</html>"),
      LoopbackReply(404, text: "<Error><Code>ContainerNotFound</Code></Error>"),
      FakeAzureServer.error(404, "ContainerNotFound"),
      FakeAzureServer.error(404, "ResourceNotFound"),
      FakeAzureServer.error(409, "ContainerBeingDeleted"),
      FakeAzureServer.error(403, "AuthorizationFailure"), LoopbackReply(204), LoopbackReply(200),
    ]
    for reply in replies {
      // A proxy or a missing container sends the same reply to everything.
      let cloud = try Cloud { $0.fault = { _ in .instead(.reply(reply)) } }
      let store = try cloud.store()
      for work in [
        { _ = try await store.read("x") },
        { _ = try await store.list(prefix: "", continuing: nil) },
        { _ = try await store.now() }, { _ = try await store.create("x", [1]) },
        { if let error = try await store.delete(["x"])["x"] { throw error } },
      ] as [() async throws -> Void] {
        let error = try await failure(work)
        #expect(error.code == .storeUnavailable, "\(reply): \(error)")
      }
    }
  }

  /// The code may be only in the header or only in the body.
  @Test func `absence in either place`() async throws {
    let body = "<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code><Message>m</Message></Error>"
    for reply in [
      LoopbackReply(404, headers: [("x-ms-error-code", "BlobNotFound")]),
      LoopbackReply(404, text: body),
    ] {
      let cloud = try Cloud { $0.fault = { _ in .instead(.reply(reply)) } }
      let store = try cloud.store()
      #expect(try await store.read("x") == nil)
      #expect(try await store.delete(["x"]).isEmpty)
    }
  }

  @Test func `an unreadable page is no empty listing`() async throws {
    for body in [
      "", "{}", "<html></html>", "<EnumerationResults></EnumerationResults>",
      "<EnumerationResults><Blobs/></EnumerationResults>",
      "<EnumerationResults><Blobs><Blob><Name>some/prefix/x</Name></Blob></Blobs><NextMarker/>"
        + "</EnumerationResults>", "<EnumerationResults><Blobs>",
    ] {
      let cloud = try Cloud {
        $0.fault = { _ in
          .instead(.reply(LoopbackReply(200, headers: [("x-ms-request-id", "1")], text: body)))
        }
      }
      let error = try await failure {
        _ = try await cloud.store().list(prefix: "", continuing: nil)
      }
      #expect(error.isRetryable && error.message.contains("can't list"), "\(body): \(error)")
    }
  }

  @Test func `a listing of something else is refused`() async throws {
    let body = """
      <EnumerationResults><Blobs><Blob><Name>other/x</Name><Properties>
      <Last-Modified>Sat, 28 Nov 2026 04:00:00 GMT</Last-Modified><Content-Length>1</Content-Length>
      </Properties></Blob></Blobs><NextMarker/></EnumerationResults>
      """
    let cloud = try Cloud {
      $0.fault = { _ in
        .instead(.reply(LoopbackReply(200, headers: [("x-ms-request-id", "1")], text: body)))
      }
    }
    let error = try await failure {
      _ = try await cloud.store().list(prefix: "", continuing: nil)
    }
    #expect(error.message.contains("not requested"))
  }

  @Test func `an answer that is not Azure's is no proof of anything`() async throws {
    for status in [200, 201, 202] {
      let cloud = try Cloud {
        $0.fault = { _ in .instead(.reply(LoopbackReply(status, text: "<html>welcome</html>"))) }
      }
      let store = try cloud.store()
      for work in [
        { _ = try await store.create("x", [1]) }, { _ = try await store.read("x") },
        { if let error = try await store.delete(["x"])["x"] { throw error } },
      ] as [() async throws -> Void] {
        let error = try await failure(work)
        #expect(error.code == .storeUnavailable, "\(error)")
      }
    }
  }

  // MARK: Damage

  @Test func `bytes damaged on the way there are refused`() async throws {
    try await faults.refusesBytesDamagedOnTheWayThere("Md5Mismatch")
  }

  @Test func `an object that is not what was sent does not stay`() async throws {
    try await faults.removesWhatIsNotWhatWasSent()
  }

  @Test func `bytes damaged on the way back are refused`() async throws {
    try await faults.refusesBytesDamagedOnTheWayBack("MD5 differs")
  }

  @Test func `a reply that may be cut is refused`() async throws {
    try await faults.refusesReplyThatMayBeCut()
  }

  /// A system whose policy forbids MD5 (FIPS) sends Azure's CRC-64 instead.
  @Test func `without MD5, damage is still found`() async throws {
    let cloud = try Cloud.withoutMD5 { $0.damagesUploads = true }
    let store = try cloud.store()
    let refused = try await failure { _ = try await store.create("x", [1, 2, 3]) }
    #expect(refused.isRetryable && refused.cause?.contains("Crc64Mismatch") == true, "\(refused)")
    cloud.azure.change { $0.checksUploads = false }
    let removed = try await failure { _ = try await store.create("x", [1, 2, 3]) }
    #expect(removed.isRetryable && removed.cause?.contains("changed in transit") == true)
    #expect(cloud.azure.names.isEmpty)

    cloud.azure.change { $0.damagesUploads = false }
    #expect(try await store.create("x", [1, 2, 3]) == .created)
    #expect(try await store.read("x") == [1, 2, 3])
    let creations = cloud.azure.server.requests.filter { $0.method == "PUT" }
    #expect(creations.count == 3 && creations.allSatisfy { $0["Content-MD5"] == nil })
  }

  // MARK: Deleting

  @Test func `what can't be deleted is told by name`() async throws {
    try await faults.namesWhatIsNotDeleted(
      FakeAzureServer.error(409, "BlobImmutableDueToPolicy"), "immutability")
  }

  @Test func `deletions go in parallel, and not too many`() async throws {
    try await faults.deletesInParallel(width: 8, further: 0)
  }

  @Test func `deletions come through a way that loses some`() async throws {
    try await faults.deletesOnAWayThatLosesSome()
  }

  @Test func `a store that does nothing is not asked for each deletion`() async throws {
    try await faults.givesUpOnAStoreThatDoesNothing()
  }
}
