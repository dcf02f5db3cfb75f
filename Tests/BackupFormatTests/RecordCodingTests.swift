import BackupFormat
import BackupTypes
import Testing

/// Records are JSON. Any bytes can be decoded or give an error, and each value has one meaning.
@Suite struct RecordCodingTests {
  private let golden = GoldenRecords(.none)

  /// Decodes `bytes` as a record and encodes it again; nil if they are not one.
  private func again<Record: Codable>(_ type: Record.Type, _ bytes: [UInt8]) throws -> [UInt8] {
    try RecordCoding.encode(try RecordCoding.decode(type, from: bytes, name: "x"))
  }
  private var records: [(name: String, bytes: [UInt8], again: ([UInt8]) throws -> [UInt8])] {
    get throws {
      var all: [(String, [UInt8], ([UInt8]) throws -> [UInt8])] = []
      for record in golden.claims {
        all.append(("claim", try RecordCoding.encode(record), { try again(Claim.self, $0) }))
      }
      for record in golden.snapshots {
        all.append(("snapshot", try RecordCoding.encode(record), { try again(Snapshot.self, $0) }))
      }
      for record in golden.indexes {
        all.append(
          ("index", try RecordCoding.encode(record), { try again(GenerationIndex.self, $0) }))
      }
      all.append(("pin", try RecordCoding.encode(golden.pin), { try again(Pin.self, $0) }))
      all.append(
        ("release", try RecordCoding.encode(golden.release), { try again(Release.self, $0) }))
      all.append(
        ("slot", try RecordCoding.encode(try golden.keySlot), { try again(KeySlot.self, $0) }))
      all.append(
        (
          "descriptor", try RecordCoding.encode(golden.descriptor),
          { try RecordCoding.encode(try RecordCoding.decodeDescriptor($0, location: "x")) }
        ))
      return all
    }
  }

  @Test func `what is encoded is decoded, and encoded the same`() throws {
    for (name, bytes, again) in try records { #expect(try again(bytes) == bytes, "\(name)") }
    let descriptor = String(decoding: try RecordCoding.encode(golden.descriptor), as: UTF8.self)
    #expect(descriptor.hasPrefix("{\"_lifeboat\":1,"))
  }

  @Test func `a truncated record is corrupt, at every length`() throws {
    for (name, bytes, again) in try records {
      for count in 0..<bytes.count {
        let found = code { _ = try again(Array(bytes.prefix(count))) }
        #expect(found == .corrupt, "\(name), \(count) bytes")
      }
    }
  }

  /// A record alone can't detect every flipped bit, for example in a letter of a name. But it never traps,
  /// and what it reads it can write again. In its frame, every flipped bit is detected.
  @Test func `a flipped bit is an error, or a record that can be written again`() throws {
    for (name, bytes, again) in try records {
      for bit in 0..<bytes.count * 8 {
        var copy = bytes
        copy[bit / 8] ^= 1 << (bit % 8)
        do { _ = try self.again(of: again, copy) } catch let error as LifeboatError {
          #expect([.corrupt, .versionMismatch].contains(error.code), "\(name), bit \(bit)")
        }
      }
    }
  }
  private func again(of decode: ([UInt8]) throws -> [UInt8], _ bytes: [UInt8]) throws -> [UInt8] {
    let first = try decode(bytes)
    #expect(try decode(first) == first)
    return first
  }

  @Test func `in its frame any truncation and any flipped bit is an error`() throws {
    for (name, kind, content) in try golden.objects() {
      let object = try golden.frame.seal(content, kind: kind, name: name)
      for count in 0..<object.count {
        let found = code {
          _ = try golden.frame.open(
            Array(object.prefix(count)), kind: kind, name: name, limit: 1 << 20)
        }
        #expect(found == .corrupt, "\(name.text), \(count) bytes")
      }
      for bit in 0..<object.count * 8 {
        var copy = object
        copy[bit / 8] ^= 1 << (bit % 8)
        let found = code {
          _ = try golden.frame.open(copy, kind: kind, name: name, limit: 1 << 20)
        }
        #expect(found != nil && found != .failure, "\(name.text), bit \(bit)")
      }
    }
  }

  @Test(arguments: [
    "", "{", "[]", "null", "1", "\"x\"", "{}", "\u{0}", "{\"timeline\":1e99}",
    "{\"timeline\":0}", "{\"timeline\":-1}", "{\"timeline\":100000000}", "{\"timeline\":1.5}",
    "{\"nonce\":\"ABCDEF00000000000000000000000000\"}", "{\"timeline\":18446744073709551616}",
  ])
  func `what is no record is corrupt`(_ text: String) {
    let bytes = Array(text.utf8)
    #expect(code { _ = try again(Claim.self, bytes) } == .corrupt)
    #expect(code { _ = try again(Snapshot.self, bytes) } == .corrupt)
    #expect(code { _ = try again(GenerationIndex.self, bytes) } == .corrupt)
    #expect(code { _ = try again(Pin.self, bytes) } == .corrupt)
    #expect(
      code { _ = try RecordCoding.decodeDescriptor(bytes, location: "x") } == .corrupt)
  }

  @Test func `a hundred thousand brackets end in an error`() {
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
    #expect(code { _ = try again(Claim.self, deep) } == .corrupt)
    let text = Array("{\"timeline\":".utf8) + deep
    #expect(code { _ = try again(Snapshot.self, text) } == .corrupt)
  }

  /// A newer release may write words that this one does not know. `from` and `to` are fragments of JSON.
  @Test func `a word that only informs is kept, one that decides is of a newer release`() throws {
    func changed(_ bytes: [UInt8], _ from: String, _ to: String) throws -> [UInt8] {
      let text = String(decoding: bytes, as: UTF8.self)
      let parts = text.split(separator: from, maxSplits: 1)
      try #require(parts.count == 2, "\(from) in \(text)")
      return Array(parts.joined(separator: to).utf8)
    }
    let snapshot = try RecordCoding.encode(golden.snapshots[0])
    let cause = golden.snapshots[0].cause.rawValue
    let new = try changed(snapshot, "\"cause\":\"\(cause)\"", "\"cause\":\"moved\"")
    #expect(try again(Snapshot.self, new) == new)
    let read = try RecordCoding.decode(Snapshot.self, from: new, name: "s")
    #expect(read.cause.rawValue == "moved" && read.cause.shown == "unknown")
    #expect(golden.snapshots[0].cause.shown == cause)
    let claim = try RecordCoding.encode(golden.claims[1])
    let strange = try changed(claim, "\"older\"", "\"strange\"")
    #expect(try again(Claim.self, strange) == strange)
    let pin = try RecordCoding.encode(golden.pin)
    let person = try changed(pin, "\"\(golden.pin.origin.rawValue)\"", "\"person\"")
    #expect(try again(Pin.self, person) == person)

    let primary = try #require(golden.snapshots.first { $0.primary == .aof })
    let served = try changed(
      try RecordCoding.encode(primary), "\"primary\":\"aof\"", "\"primary\":\"raft\"")
    #expect(code { _ = try again(Snapshot.self, served) } == .versionMismatch)
    let index = try RecordCoding.encode(golden.indexes[0])
    for (field, word) in [
      ("kind", golden.indexes[0].kind.rawValue), ("verdict", golden.indexes[0].verdict.rawValue),
    ] {
      let other = try changed(index, "\"\(field)\":\"\(word)\"", "\"\(field)\":\"new\"")
      #expect(code { _ = try again(GenerationIndex.self, other) } == .versionMismatch, "\(field)")
      let number = try changed(index, "\"\(field)\":\"\(word)\"", "\"\(field)\":7")
      #expect(code { _ = try again(GenerationIndex.self, number) } == .corrupt, "\(field)")
    }
  }

  @Test func `a field that format 1 does not have is ignored`() throws {
    let claim = String(decoding: try RecordCoding.encode(golden.claims[1]), as: UTF8.self)
    let added = "{\"future\":{\"a\":[1]}," + claim.dropFirst()
    #expect(try again(Claim.self, Array(added.utf8)) == Array(claim.utf8))
  }

  @Test func `a descriptor of another format is refused before anything else of it is believed`() {
    for (text, expected) in [
      ("{\"_lifeboat\":2}", ExitCode.versionMismatch), ("{\"_lifeboat\":0}", .versionMismatch),
      ("{\"_lifeboat\":-9223372036854775808}", .versionMismatch), ("{\"_lifeboat\":1}", .corrupt),
      ("{\"_lifeboat\":\"1\"}", .corrupt), ("{\"_lifeboat\":null}", .corrupt),
    ] {
      #expect(
        code { _ = try RecordCoding.decodeDescriptor(Array(text.utf8), location: "x") } == expected,
        "\(text)")
    }
  }

  @Test func `an index whose pieces do not cover its size contradicts itself`() {
    var index = golden.indexes[0]
    #expect(index.isConsistent)
    let piece = UInt64(GenerationIndex.pieceBytes)
    for (size, count, isGood) in [
      (0, 0, false), (0, 1, false), (1, 1, true), (piece, 1, true), (piece + 1, 1, false),
      (piece + 1, 2, true), (piece, 2, false), (.max, 1, false),
    ] as [(UInt64, Int, Bool)] {
      index.size = size
      index.pieces = Array(repeating: golden.indexes[0].pieces[0], count: count)
      index.kind = .dump
      #expect(index.isConsistent == isGood, "\(size) bytes in \(count)")
      index.kind = .base
      let isEmptyBase = size == 0 && count == 0
      #expect(index.isConsistent == (isGood || isEmptyBase), "a BASE of \(size) in \(count)")
    }
  }

  /// A reader without support for `emptyBase` (0.1.0) sees a chain without a BASE. For a server, this is the
  /// same state.
  @Test func `a BASE of no bytes has a field of its own`() throws {
    let form = AOFForm.multiPart(directory: "d", manifest: "m")
    let id = golden.indexes[0].generation
    var base = Snapshot.Base(generation: id, file: "a.1.base.aof", sequence: 1, isEmpty: true)
    for isEmpty in [true, false] {
      base.isEmpty = isEmpty
      let chain = Snapshot.Chain(form: form, base: base, files: [])
      let bytes = try RecordCoding.encode(chain)
      let text = String(decoding: bytes, as: UTF8.self)
      #expect(text.contains("\"emptyBase\":") == isEmpty, "\(text)")
      #expect(text.contains("\"base\":") == !isEmpty, "\(text)")
      #expect(try RecordCoding.decode(Snapshot.Chain.self, from: bytes, name: "x") == chain)
    }
  }
}
