import BackupFormat
import BackupTypes
import Codec
import Glibc
import Testing

/// Repositories of earlier releases, as files. They are never changed: a new version of the format gets new
/// ones. `LIFEBOAT_WRITE_GOLDEN=1` writes the missing ones and fails the run.
@Suite struct GoldenTests {
  @Test(
    .enabled(if: getenv("LIFEBOAT_WRITE_GOLDEN") != nil), arguments: GoldenRecords.Variant.allCases)
  func `the generator`(_ variant: GoldenRecords.Variant) throws {
    let golden = GoldenRecords(variant)
    try write(
      ObjectPath.descriptor.text, variant, try RecordCoding.encode(golden.descriptor) + [10])
    for (name, kind, content) in try golden.objects() {
      // The key slot is not encrypted with the repository key, because it contains that key.
      let frame = kind == .keySlot ? GoldenRecords(.none).frame : golden.frame
      try write(name.text, variant, try frame.seal(content, kind: kind, name: name))
    }
    Issue.record("golden objects were written: look at them, then run without the variable")
  }

  @Test(arguments: GoldenRecords.Variant.allCases)
  func `every kind of object that was ever written is read, and says what it said`(
    _ variant: GoldenRecords.Variant
  ) throws {
    let golden = GoldenRecords(variant)
    let descriptor = try RecordCoding.decodeDescriptor(
      try read(ObjectPath.descriptor.text, variant), location: "golden")
    #expect(descriptor == golden.descriptor)
    let slot = try record(
      KeySlot.self, golden.slotName, .keySlot, GoldenRecords(.none), variant)
    #expect(
      try slot.repositoryKey(
        unwrappingWith: golden.personalKey, repository: descriptor.repository)
        == GoldenRecords.repositoryKey)
    for claim in golden.claims {
      #expect(try record(Claim.self, .claim(claim.timeline), .claim, golden, variant) == claim)
    }
    for snapshot in golden.snapshots {
      let name = ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence)
      #expect(try record(Snapshot.self, name, .snapshot, golden, variant) == snapshot)
    }
    for index in golden.indexes {
      let name = ObjectPath.index(index.generation)
      #expect(try record(GenerationIndex.self, name, .index, golden, variant) == index)
    }
    let piece = ObjectPath.piece(golden.base, number: 0, golden.frame.digest(golden.piece).short)
    #expect(try content(piece, .piece, golden, variant) == golden.piece)
    for (name, payload) in golden.logs {
      guard case .log(_, _, let span) = name else { continue }
      let read = try content(name, .log, golden, variant)
      #expect(try LogPayload(decoding: read, span: span) == payload)
    }
    let pins = ObjectPath.operation(.pins, id: "p-1")
    #expect(try record(Pin.self, pins, .operation, golden, variant) == golden.pin)
    let releases = ObjectPath.operation(.releases, id: "p-1")
    #expect(try record(Release.self, releases, .operation, golden, variant) == golden.release)
    let drills = ObjectPath.operation(.drills, id: golden.drill.id)
    #expect(try record(Drill.self, drills, .operation, golden, variant) == golden.drill)
    let quarantines = ObjectPath.operation(.quarantines, id: golden.dump.description)
    #expect(
      try record(Quarantine.self, quarantines, .operation, golden, variant) == golden.quarantine)
    let prunes = ObjectPath.operation(.prunes, id: golden.prune.id)
    #expect(try record(Prune.self, prunes, .operation, golden, variant) == golden.prune)
  }

  /// The previous release can read what this one writes. Any addition is noticed here.
  @Test(arguments: [GoldenRecords.Variant.none, .sealed])
  func `what is written today is what was written then, to the byte`(
    _ variant: GoldenRecords.Variant
  ) throws {
    let golden = GoldenRecords(variant)
    #expect(
      try RecordCoding.encode(golden.descriptor) + [10]
        == read(ObjectPath.descriptor.text, variant))
    for (name, kind, content) in try golden.objects() {
      let frame = kind == .keySlot ? GoldenRecords(.none).frame : golden.frame
      let object = try frame.seal(content, kind: kind, name: name)
      #expect(try object == read(name.text, variant), "\(name.text)")
    }
  }

  @Test(arguments: GoldenRecords.Variant.allCases)
  func `an object is read under its own name and kind only`(_ variant: GoldenRecords.Variant) throws
  {
    let golden = GoldenRecords(variant)
    let all = try golden.objects().filter { $0.kind != .keySlot }
    for (number, (name, kind, _)) in all.enumerated() {
      let object = try read(name.text, variant)
      let other = all[(number + 1) % all.count]
      #expect(
        code {
          _ = try golden.frame.open(object, kind: kind, name: other.name, limit: 1 << 20)
        } == .corrupt)
      #expect(
        code {
          let wrong = ObjectKind(rawValue: kind.rawValue % 7 + 1)!
          _ = try golden.frame.open(object, kind: wrong, name: name, limit: 1 << 20)
        } == .corrupt)
    }
  }

  // MARK: Files

  private func content(
    _ name: ObjectPath, _ kind: ObjectKind, _ golden: GoldenRecords,
    _ variant: GoldenRecords.Variant
  ) throws -> [UInt8] {
    try golden.frame.open(
      try read(name.text, variant), kind: kind, name: name, limit: RecordCoding.sizeMax
    ).content
  }
  private func record<Record: Decodable>(
    _ type: Record.Type, _ name: ObjectPath, _ kind: ObjectKind, _ golden: GoldenRecords,
    _ variant: GoldenRecords.Variant
  ) throws -> Record {
    try RecordCoding.decode(
      type, from: try content(name, kind, golden, variant), name: name.text)
  }

  private func path(_ name: String, _ variant: GoldenRecords.Variant) -> String {
    let here = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    return "/\(here)/Golden/\(variant.rawValue)/\(name)"
  }
  private func read(_ name: String, _ variant: GoldenRecords.Variant) throws -> [UInt8] {
    guard let file = fopen(path(name, variant), "r") else {
      throw LifeboatError(.failure, "can't read the golden object \(name)")
    }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
    return bytes
  }
  private func write(_ name: String, _ variant: GoldenRecords.Variant, _ bytes: [UInt8]) throws {
    let path = path(name, variant)
    for (index, character) in path.enumerated() where character == "/" && index > 0 {
      mkdir(String(path.prefix(index)), 0o755)
    }
    // An existing file is never overwritten.
    guard let file = fopen(path, "wx") else { return }
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }
}
