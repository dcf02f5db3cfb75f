import BackupTypes
import Testing

@testable import Codec

@Suite struct CompressorTests {
  static let sizes = [
    0, 1, 2, 3, 63, 64, 255, 256, 1023, 4096, 65_535, 65_536, 131_073, 1 << 20, (1 << 20) + 1,
    4 << 20, 5 << 20,
  ]

  @Test(arguments: Compression.allCases)
  func whatIsCompressedComesBack(_ compression: Compression) throws {
    let compressor = Compressor()
    for size in CompressorTests.sizes {
      for bytes in [TestBytes.text(size, seed: 7), TestBytes.random(size, seed: 8)] {
        let compressed = try compressor.compress(bytes, using: compression)
        let result = try decompress(compressed, using: compression, exactly: size, limit: 5 << 20)
        #expect(result == bytes, "\(size) bytes")
      }
    }
  }

  @Test func theSameBytesGiveTheSameFrame() throws {
    let (one, other) = (Compressor(), Compressor())
    let bytes = TestBytes.text(300_000, seed: 1)
    for compression in Compression.allCases {
      let first = try one.compress(bytes, using: compression)
      _ = try one.compress(TestBytes.text(99, seed: 2), using: compression)
      #expect(try one.compress(bytes, using: compression) == first)
      #expect(try other.compress(bytes, using: compression) == first)
    }
  }

  @Test func textShrinks() throws {
    let bytes = TestBytes.text(1 << 20, seed: 3)
    for compression in [Compression.zstd, .gzip] {
      #expect(try Compressor().compress(bytes, using: compression).count < bytes.count / 2)
    }
  }

  @Test func theWindowIsSmall() throws {
    let frame = try Compressor().compress(TestBytes.text(4 << 20, seed: 3), using: .zstd)
    // RFC 8878, 3.1.1.1: unless the single-segment flag is set, a window descriptor follows.
    #expect(frame[4] & 0x20 == 0)
    #expect(10 + Int(frame[5] >> 3) <= 20)
  }

  @Test func manyThreadsShareTwoContexts() async throws {
    let compressor = Compressor()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for seed: UInt64 in 0..<32 {
        group.addTask {
          let bytes = TestBytes.text(50_000 + Int(seed), seed: seed)
          let compressed = try compressor.compress(bytes, using: .zstd)
          let result = try decompress(
            compressed, using: .zstd, exactly: bytes.count, limit: 1 << 20)
          #expect(result == bytes)
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func wireValuesAreFixed() {
    #expect(Compression.allCases.map(\.wireValue) == [0, 1, 2])
    #expect(Compression.allCases.map(\.rawValue) == ["none", "zstd", "gzip"])
    for value in UInt8.min...UInt8.max {
      #expect((Compression(wireValue: value)?.wireValue ?? value) == value)
      #expect((Compression(wireValue: value) != nil) == (value <= 2))
    }
  }
}
