import BackupTypes
import Testing

@testable import Codec

/// Any input gives the bytes that were compressed, or `.corrupt`. It never traps.
@Suite struct HostileInputTests {
  private func expectCorrupt(
    _ bytes: [UInt8], _ compression: Compression, size: Int, limit: Int = 1 << 20, _ what: String
  ) {
    do {
      _ = try decompress(bytes, using: compression, exactly: size, limit: limit)
      Issue.record("\(compression), \(what): no error")
    } catch {
      #expect(error.code == .corrupt, "\(compression), \(what): \(error)")
      #expect(!error.isRetryable)
    }
  }

  @Test(arguments: [Compression.zstd, .gzip])
  func everyTruncationIsCorrupt(_ compression: Compression) throws {
    for size in [0, 1, 700] {
      let frame = try Compressor().compress(TestBytes.text(size, seed: 1), using: compression)
      for count in 0..<frame.count {
        expectCorrupt(
          Array(frame.prefix(count)), compression, size: size, "\(count) of \(frame.count)")
      }
    }
  }

  @Test(arguments: [Compression.zstd, .gzip])
  func everyFlippedBitIsSurvived(_ compression: Compression) throws {
    let bytes = TestBytes.text(900, seed: 2)
    let frame = try Compressor().compress(bytes, using: compression)
    for bit in 0..<frame.count * 8 {
      var damaged = frame
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      do {
        let result = try decompress(damaged, using: compression, exactly: 900, limit: 900)
        #expect(result.count == 900)
      } catch {
        #expect(error.code == .corrupt)
      }
    }
  }

  @Test func randomBytesAreSurvived() {
    for seed: UInt64 in 0..<3000 {
      var bytes = TestBytes.random(Int(seed % 97), seed: seed)
      for (compression, magic) in [
        (Compression.zstd, [0x28, 0xb5, 0x2f, 0xfd] as [UInt8]), (.gzip, [0x1f, 0x8b, 8, 0]),
      ] {
        if seed % 2 == 0 { bytes.replaceSubrange(..<min(4, bytes.count), with: magic) }
        expectCorrupt(bytes, compression, size: 5000, "seed \(seed)")
      }
    }
  }

  @Test(arguments: Compression.allCases)
  func anotherSizeIsCorrupt(_ compression: Compression) throws {
    let frame = try Compressor().compress(TestBytes.text(1000, seed: 3), using: compression)
    for size in [-1, .min, 0, 1, 999, 1001, 2000, 1 << 20, (1 << 20) + 1, .max] {
      expectCorrupt(frame, compression, size: size, "as \(size)")
    }
  }

  @Test(arguments: Compression.allCases)
  func anythingAfterTheEndIsCorrupt(_ compression: Compression) throws {
    let frame = try Compressor().compress(TestBytes.text(1000, seed: 3), using: compression)
    let empty = try Compressor().compress([] as [UInt8], using: compression)
    // An empty skippable frame, which zstd tools skip.
    let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]
    for tail in [[0], [0x1f], frame, skippable] + (empty.isEmpty ? [] : [empty]) {
      expectCorrupt(frame + tail, compression, size: 1000, "\(tail.count) bytes more")
    }
    if compression == .zstd {
      expectCorrupt(skippable + frame, compression, size: 1000, "skippable first")
      expectCorrupt(skippable, compression, size: 0, "skippable only")
    }
  }

  @Test(arguments: [Compression.zstd, .gzip])
  func aBombIsCorruptAndStaysSmall(_ compression: Compression) throws {
    let bomb = try Compressor().compress([UInt8](repeating: 0, count: 32 << 20), using: compression)
    #expect(bomb.count < 256 << 10)
    expectCorrupt(bomb, compression, size: 4096, "a bomb")
    expectCorrupt(bomb, compression, size: 32 << 20, limit: 4096, "an honest bomb")
  }

  @Test func theLimitItselfIsAllowed() throws {
    let bytes = TestBytes.text(4096, seed: 4)
    for compression in Compression.allCases {
      let frame = try Compressor().compress(bytes, using: compression)
      #expect(try decompress(frame, using: compression, exactly: 4096, limit: 4096) == bytes)
    }
  }
}
