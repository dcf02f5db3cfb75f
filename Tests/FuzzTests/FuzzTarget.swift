import BackupTypes
import Codec
import RedisFormats

@testable import AzureStorage
@testable import BackupFormat
@testable import CloudAuth
@testable import GCSStorage
@testable import Recovery
@testable import S3Storage

/// Code that reads bytes that someone else may have written. Each target also checks what must hold for any
/// bytes, besides not trapping. `scripts/fuzz` finds inputs, and `RegressionTests` runs what it found.
enum FuzzTarget: String, CaseIterable, Sendable {
  case rdb, aof, manifest, configuration, frame, record, journal, xml, json

  /// - Throws: `Violation`.
  func run(_ input: [UInt8]) throws {
    switch self {
    case .rdb: try rdb(input)
    case .aof: try aof(input)
    case .manifest: try manifest(input)
    case .configuration: _ = try? RedisConfiguration(parsing: input)
    case .frame: try frame(input)
    case .record: try record(input)
    case .journal: try roundTrip(RestoreJournal.self, input)
    case .xml: xml(input)
    case .json: json(input)
    }
  }

  struct Violation: Error, CustomStringConvertible { let description: String }

  private func require(_ condition: Bool, _ words: String) throws {
    if !condition { throw Violation(description: "\(self): \(words)") }
  }

  /// `input` in three pieces, cut at places that its own bytes determine.
  private func pieces(_ input: [UInt8]) -> [ArraySlice<UInt8>] {
    guard let last = input.last, input.count > 1 else { return [input[...]] }
    let cuts = [Int(last) * input.count / 256, (Int(input[0]) * 31 + Int(last)) % input.count]
    let (first, second) = (cuts.min() ?? 0, cuts.max() ?? 0)
    return [input[..<first], input[first..<second], input[second...]]
  }

  // MARK: Redis's files

  private func rdb(_ input: [UInt8]) throws {
    var whole = RDBWalker()
    let used = input.withUnsafeBytes { whole.consume($0) }
    _ = whole.finish()
    var cut = RDBWalker(choosing: KeySampling(seed: 1), countMax: 16)
    var usedCut = 0
    for piece in pieces(input) { usedCut += piece.withUnsafeBytes { cut.consume($0) } }
    _ = cut.finish()
    try require(whole.state == cut.state, "\(whole.state), in pieces \(cut.state)")
    try require(whole.summary == cut.summary, "the counts depend on the pieces")
    try require(used == usedCut && used <= input.count, "used \(used) of \(input.count) bytes")
    switch whole.state {
    case .walking: throw Violation(description: "rdb: walks at the end")
    case .ended(let end): try require(end == UInt64(used), "ends at \(end), used \(used)")
    case .malformed(let fault), .unknown(let fault):
      try require(fault.offset <= UInt64(input.count), "a fault behind the end")
    }
    guard case .ended = whole.state else { return }
    for place in cut.keyPlaces?.places ?? [] {
      let value = input[Int(place.value.lowerBound)..<Int(place.value.upperBound)]
      _ = RDBValueReader.read(Array(value), type: place.type)
    }
  }

  private func aof(_ input: [UInt8]) throws {
    var whole = AOFScanner(takesAnyMagic: true)
    input.withUnsafeBytes { whole.consume($0) }
    var cut = AOFScanner(takesAnyMagic: true)
    for piece in pieces(input) { piece.withUnsafeBytes { cut.consume($0) } }
    try require(whole.fault == cut.fault, "the fault depends on the pieces")
    try require(
      whole.boundary == cut.boundary && whole.offset == cut.offset
        && whole.commands == cut.commands, "the boundary depends on the pieces")
    try require(whole.boundary <= UInt64(input.count), "a boundary behind the end")
    let findings = whole.takeFindings()
    try require(findings == cut.takeFindings(), "the findings depend on the pieces")
    try require(
      findings.allSatisfy { $0.start < $0.end && $0.end <= whole.boundary },
      "a finding outside of what is valid")
    var prefix = AOFScanner(takesAnyMagic: true)
    input[..<Int(whole.boundary)].withUnsafeBytes { prefix.consume($0) }
    try require(
      prefix.fault == nil && prefix.boundary == whole.boundary,
      "what stands before the boundary is not valid by itself")
  }

  private func manifest(_ input: [UInt8]) throws {
    guard let manifest = try? AOFManifest(parsing: input) else { return }
    // Offsets and history are not written.
    let kept = manifest.entries.filter { $0.kind != .history }
    let again = try? AOFManifest(parsing: manifest.encoded()).entries
    try require(
      kept.isEmpty
        || again?.elementsEqual(kept) {
          $0.file == $1.file && $0.sequence == $1.sequence && $0.kind == $1.kind
        } == true, "reads something else than it wrote")
  }

  // MARK: Lifeboat's objects

  private static let name = ObjectPath.operation(.pins, id: "p-1")

  private func frame(_ input: [UInt8]) throws {
    let secrets = RepositorySecrets(
      repositoryKey: [UInt8](repeating: 0x42, count: 32),
      repository: Nonce(bytes: Array(0..<16))!)
    for secrets in [nil, secrets] {
      let frame = Frame(
        compression: .zstd, secrets: secrets,
        randomBytes: { [UInt8](repeating: 7, count: $0) })
      for kind in [ObjectKind.operation, .log] {
        guard
          let opened = try? frame.open(
            input, kind: kind, name: FuzzTarget.name, limit: 1 << 20)
        else { continue }
        let sealed = try frame.seal(opened.content, kind: kind, name: FuzzTarget.name)
        let again = try frame.open(sealed, kind: kind, name: FuzzTarget.name, limit: 1 << 20)
        try require(again.content == opened.content, "seals something else than it opened")
      }
    }
    guard input.count >= 20 else { return }
    let marks = input[16..<20].reversed().reduce(0) { $0 << 8 | Int($1) }
    let size = max(1, input.count - 20 - min(marks, 1 << 16) * 17)
    let span = LogSpan(
      from: 0, to: UInt64(size), mark: nil,
      digest: ShortDigest(hexadecimal: String(repeating: "0", count: 32))!)
    guard let payload = try? LogPayload(decoding: input, span: span) else { return }
    try require(payload.encoded() == input, "writes other marks than it read")
  }

  private func record(_ input: [UInt8]) throws {
    _ = try? RecordCoding.decodeDescriptor(input, location: "fuzz")
    try roundTrip(Descriptor.self, input)
    try roundTrip(Claim.self, input)
    try roundTrip(Snapshot.self, input)
    try roundTrip(GenerationIndex.self, input)
    try roundTrip(Pin.self, input)
    try roundTrip(Release.self, input)
    try roundTrip(Quarantine.self, input)
    try roundTrip(Prune.self, input)
    try roundTrip(Drill.self, input)
    try roundTrip(KeySlot.self, input)
    let text = String(decoding: input, as: UTF8.self)
    if let path = ObjectPath(text) {
      try require(ObjectPath(path.text) == path, "\(path.text) is read as another name")
    }
  }

  private func roundTrip<Record: Codable & Equatable>(
    _ type: Record.Type, _ input: [UInt8]
  ) throws {
    guard let record = try? RecordCoding.decode(type, from: input, name: "fuzz") else { return }
    let bytes = try RecordCoding.encode(record)
    let again = try RecordCoding.decode(type, from: bytes, name: "fuzz")
    try require(again == record, "\(type) reads something else than it wrote")
  }

  // MARK: Replies of stores and clouds

  private func xml(_ input: [UInt8]) {
    _ = try? XMLElement(parsing: input)
    _ = try? S3Listing(input)
    _ = try? AzureListing(input)
    _ = try? S3Deletion.failures(input)
  }

  private func json(_ input: [UInt8]) {
    _ = try? GCSListing(input)
    if let credentials = try? TemporaryCredentials.decode(input, origin: "fuzz") {
      _ = try? credentials.credentials(origin: "fuzz")
    }
    _ = try? OAuthTokenService.read(
      input, askedAt: Instant(milliseconds: 1_700_000_000_000), origin: "fuzz")
    _ = try? AzureConnectionString(String(decoding: input, as: UTF8.self))
    _ = try? GoogleCredentialFile(String(decoding: input, as: UTF8.self), path: "fuzz")
  }
}
