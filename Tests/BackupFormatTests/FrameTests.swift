import BackupFormat
import BackupTypes
import Codec
import Testing

@Suite struct FrameTests {
  private static let codecs: [Compression] = [.none, .zstd, .gzip]
  private static let kinds: [ObjectKind] = [
    .claim, .snapshot, .index, .piece, .log, .operation, .keySlot,
  ]
  private let name = ObjectPath.claim(.first)
  private let text = Array(String(repeating: "hello, boat. ", count: 6).utf8)

  private func frame(_ codec: Compression, _ secrets: RepositorySecrets?) -> Frame {
    Frame(compression: codec, secrets: secrets) { [UInt8](repeating: 9, count: $0) }
  }

  @Test("what is sealed is opened, in every kind, codec and with or without keys")
  func roundTrip() throws {
    for kind in FrameTests.kinds {
      for codec in FrameTests.codecs {
        for key in [nil, secrets] {
          for content in [[], [0], text, [UInt8](repeating: 0, count: 100_000)] {
            let frame = frame(codec, key)
            let object = try frame.seal(content, kind: kind, name: name)
            #expect(
              try frame.open(object, kind: kind, name: name, limit: 100_000).content == content)
            let other = ObjectKind(rawValue: kind.rawValue % 7 + 1)!
            #expect(
              code { _ = try frame.open(object, kind: other, name: name, limit: 100_000) }
                == .corrupt)
          }
        }
      }
    }
  }

  @Test("the largest content of a kind fits its largest object, whatever the codec and the key")
  func largest() throws {
    var random = SystemRandomNumberGenerator()
    let content = (0..<ObjectKind.log.contentBytesMax / 8).flatMap { _ in
      littleEndianBytes(random.next())
    }
    for codec in FrameTests.codecs {
      for key in [nil, secrets] {
        let object = try frame(codec, key).seal(content, kind: .log, name: name)
        #expect(object.count <= Frame.objectBytesMax(content: content.count))
      }
    }
    #expect(content.count >= ObjectKind.log.contentBytesMax - 8)
  }

  @Test("every truncation and every flipped bit is noticed")
  func damage() throws {
    for codec in FrameTests.codecs {
      for key in [nil, secrets] {
        let frame = frame(codec, key)
        let object = try frame.seal(text, kind: .log, name: name)
        for count in 0..<object.count {
          let cut = Array(object.prefix(count))
          #expect(code { _ = try frame.open(cut, kind: .log, name: name, limit: 4096) } == .corrupt)
        }
        #expect(
          code { _ = try frame.open(object + [0], kind: .log, name: name, limit: 4096) } == .corrupt
        )
        for bit in 0..<object.count * 8 {
          var copy = object
          copy[bit / 8] ^= 1 << (bit % 8)
          var content: [UInt8]?
          let found = code {
            content = try frame.open(copy, kind: .log, name: name, limit: 4096).content
          }
          // Some bits in a codec's own header have no meaning. The content is then unchanged.
          if key == nil, codec != .none, bit / 8 >= 56, content == text { continue }
          let expected: ExitCode =
            bit / 8 == 8
            ? .versionMismatch : .corrupt
          #expect(found == expected, "\(codec), keyed \(key != nil), bit \(bit)")
        }
      }
    }
  }

  @Test(
    "a renamed object, a newer version, an object of another repository and a size beyond the limit have their codes"
  )
  func refusals() throws {
    for key in [nil, secrets] {
      let frame = frame(.zstd, key)
      var object = try frame.seal(text, kind: .claim, name: name)
      let other = ObjectPath.claim(TimelineNumber(2)!)
      #expect(
        code { _ = try frame.open(object, kind: .claim, name: other, limit: 4096) } == .corrupt)
      #expect(code { _ = try frame.open(object, kind: .claim, name: name, limit: 10) } == .corrupt)
      if key != nil {
        let keyless = self.frame(.zstd, nil)
        #expect(
          code { _ = try keyless.open(object, kind: .claim, name: name, limit: 4096) } == .corrupt)
      } else {
        let keyed = self.frame(.zstd, secrets)
        #expect(
          code { _ = try keyed.open(object, kind: .claim, name: name, limit: 4096) } == .corrupt)
      }
      object[8] = 2
      #expect(
        code { _ = try frame.open(object, kind: .claim, name: name, limit: 4096) }
          == .versionMismatch)
    }
  }

  @Test("a wrong key never opens a slot, and no key is ever printed")
  func keySlot() throws {
    let key = [UInt8](repeating: 1, count: 32)
    let slot = try KeySlot(
      wrapping: key, with: [7, 7, 7], salt: [UInt8](repeating: 2, count: 16),
      nonce: [UInt8](repeating: 3, count: 12), repository: repository)
    #expect(try slot.repositoryKey(unwrappingWith: [7, 7, 7], repository: repository) == key)
    #expect(
      code { _ = try slot.repositoryKey(unwrappingWith: [7, 7], repository: repository) }
        == .wrongKey)
    #expect(
      code { _ = try slot.repositoryKey(unwrappingWith: [7, 7, 7], repository: writer) }
        == .wrongKey)
    for field in [\KeySlot.salt, \.nonce, \.wrapped] as [WritableKeyPath<KeySlot, String>] {
      for value in ["", "zz", "00", String(repeating: "0", count: 500)] {
        var damaged = slot
        damaged[keyPath: field] = value
        #expect(
          code { _ = try damaged.repositoryKey(unwrappingWith: [7, 7, 7], repository: repository) }
            == .wrongKey)
      }
    }
    #expect("\(secrets)" == "RepositorySecrets(redacted)")
  }
}
