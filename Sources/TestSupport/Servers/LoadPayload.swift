/// The payload of a step, which can be made again from (seed, step). It is binary, and full of bytes that a
/// careless reader of an append-only file takes for structure.
struct LoadPayload: Sendable {
  private let seed: UInt64
  private let sizes: ClosedRange<Int>
  /// Payloads are slices of this: random bytes with a trap every few dozen bytes.
  private let pool: [UInt8]

  private static let poolSize = 64 << 10
  private static let traps: [[UInt8]] =
    texts.map { Array($0.utf8) } + [
      [0xff], [0xfa, 0x09], [0xc0, 0x80], [0xff, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
  private static let texts = [
    "\0", "\r\n", "\n", "\r", "*1\r\n$4\r\nEXEC\r\n", "\r\n*1\r\n$5\r\nMULTI\r\n",
    "*3\r\n$3\r\nSET\r\n$3\r\nbad\r\n$3\r\nbad\r\n", "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n",
    "#TS:1700000000\r\n", "\r\n#TS:4102444800\r\n", "$-1\r\n", "*-1\r\n", "$999999999\r\n",
    "REDIS0011", "VALKEY080", "*1\r\n$8\r\nFLUSHALL\r\n", "file appendonly.aof.1.base.rdb seq 1",
  ]

  init(seed: UInt64, sizes: ClosedRange<Int>) {
    self.seed = seed
    self.sizes = sizes
    var random = SeededRandom(seed: seed)
    var pool: [UInt8] = []
    while pool.count < LoadPayload.poolSize {
      pool += LoadPayload.traps.randomElement(using: &random)!
      pool += random.bytes(.random(in: 0...48, using: &random))
    }
    self.pool = pool
  }

  /// The payload, with a length in `sizes`. It starts with the step's number, as far as that fits.
  func bytes(_ step: Int) -> [UInt8] {
    var random = SeededRandom(seed: seed ^ UInt64(step) &* 0x9e37_79b9_7f4a_7c15)
    let size = Int.random(in: sizes, using: &random)
    var bytes = Array("\r\n#TS:\(step)\r\n".utf8.prefix(size))
    while bytes.count < size {
      let start = Int.random(in: 0..<pool.count, using: &random)
      bytes += pool[start..<min(pool.count, start + size - bytes.count)]
    }
    return bytes
  }
}
