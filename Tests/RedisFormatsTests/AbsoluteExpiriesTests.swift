import BackupTypes
import TestSupport
import Testing

@testable import RedisFormats

struct AbsoluteExpiriesTests {
  private typealias Command = [String]
  /// The time at which the byte at an offset was received: a second per hundred bytes.
  private static func time(_ offset: Int) -> Int64 {
    1_795_000_000_000 + Int64(offset / 100) * 1000
  }

  private static func encoded(_ commands: [Command]) -> [UInt8] {
    commands.flatMap { command in
      Array("*\(command.count)\r\n".utf8)
        + command.flatMap { Array("$\($0.utf8.count)\r\n\($0)\r\n".utf8) }
    }
  }

  /// The translation of the bytes. They are passed in portions of these sizes, in a cycle.
  private static func made(_ bytes: [UInt8], portions: [Int] = [.max]) -> [UInt8] {
    var expiries = AbsoluteExpiries()
    var made: [UInt8] = []
    var (at, round) = (0, 0)
    while at < bytes.count {
      let end = at + min(portions[round % portions.count], bytes.count - at)
      let (output, patches) = expiries.consume(bytes[at..<end]) {
        Instant(milliseconds: time($0))
      }
      made += output
      for patch in patches {
        for (index, byte) in patch.bytes.enumerated() { made[Int(patch.offset) + index] = byte }
      }
      (at, round) = (end, round + 1)
    }
    return made
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  struct Case: Sendable, CustomTestStringConvertible {
    var given: [String]
    var wanted: [String]
    var testDescription: String { given.joined(separator: " ") }
    init(_ given: String, _ wanted: String) {
      self.given = given.split(separator: " ").map { String($0) }
      self.wanted = wanted.split(separator: " ").map { String($0) }
    }
  }

  /// Received at 1,795,000,000,000, since none of them has a hundred bytes.
  @Test(arguments: [
    Case("SET k v PX 50000", "SET k v PXAT 1795000050000"),
    Case("set k v ex 50", "set k v PXAT 1795000050000"),
    Case("SET k PX PX 1", "SET k PX PXAT 1795000000001"),
    Case("SET k v KEEPTTL", "SET k v KEEPTTL"),
    Case("SET k v PXAT 1795000050000", "SET k v PXAT 1795000050000"),
    Case("SET PX 50000", "SET PX 50000"),
    Case("EXPIRE k 50", "PEXPIREAT k 1795000050000"),
    Case("pexpire EX 50", "PEXPIREAT EX 1795000000050"),
    Case("PEXPIRE k -1", "PEXPIREAT k 1794999999999"),
    Case("PEXPIREAT k 1795000000050", "PEXPIREAT k 1795000000050"),
    Case("EXPIREAT k 1795000000", "EXPIREAT k 1795000000"),
    Case("GETEX k EX 50", "GETEX k PXAT 1795000050000"),
    Case("GETEX k PERSIST", "GETEX k PERSIST"),
    Case("RESTORE k 50000 v", "RESTORE k 1795000050000 v ABSTTL"),
    Case("RESTORE k 50000 v REPLACE", "RESTORE k 1795000050000 v REPLACE ABSTTL"),
    Case("RESTORE-ASKING k 50000 v REPLACE", "RESTORE-ASKING k 1795000050000 v REPLACE ABSTTL"),
    Case("RESTORE k 0 v REPLACE", "RESTORE k 0 v REPLACE"),
    Case("RESTORE k 1795000050000 v ABSTTL", "RESTORE k 1795000050000 v ABSTTL"),
    Case("RESTORE k 1795000050000 v REPLACE absttl", "RESTORE k 1795000050000 v REPLACE absttl"),
    // 31 years.
    Case("RESTORE k 1000000000000 v", "RESTORE k 2795000000000 v ABSTTL"),
    Case("HSET h f EX 5", "HSET h f EX 5"),
    Case("RPUSH EXPIRE k 50", "RPUSH EXPIRE k 50"),
    Case("PING", "PING"),
  ]) func oneCommand(_ test: Case) {
    let made = Self.made(Self.encoded([test.given, ["SET", "after", "it"]]))
    #expect(Self.text(made) == Self.text(Self.encoded([test.wanted, ["SET", "after", "it"]])))
  }

  /// An expiry counts from when its number was received, not from the start of its command.
  @Test func timesAreThoseOfTheNumbers() {
    let value = String(repeating: "v", count: 1000)
    let made = Self.text(
      Self.made(Self.encoded([["SET", "k", value, "PX", "1"], ["EXPIRE", "k", "1"]])))
    #expect(made.contains("PXAT\r\n$13\r\n1795000010001\r\n"), "\(made)")
    #expect(made.contains("PEXPIREAT\r\n$1\r\nk\r\n$13\r\n1795000011000\r\n"), "\(made)")
  }

  /// Bytes that are not a command, or are too large for one, are not changed.
  @Test(arguments: [
    "*3\r\n$3\r\nSET\r\nxx", "\r\n*1\r\n$4\r\nPING\r\n", "*0\r\n", "*-1\r\n",
    "*99999999999999999\r\n",
    "*3\r\n$9999999999999999999\r\n", "PING\r\n", "*3\r\n$6\r\nEXPIRE\r\n$1\r\nk\r\n$2\r\nxx\r\n",
  ]) func foreignBytesStay(_ text: String) {
    let made = Self.text(Self.made(Array(text.utf8)))
    let isExpire = text.contains("EXPIRE")
    #expect(made == (isExpire ? text.replacing("$6\r\nEXPIRE", with: "$9\r\nPEXPIREAT") : text))
  }

  /// The output does not depend on where the bytes are cut. It equals the output for each command alone.
  @Test(arguments: 0..<40) func portionsDoNotMatter(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var commands: [Command] = []
    for _ in 0..<60 {
      let key = "k\(Int.random(in: 0..<9, using: &random))"
      let number = "\(Int.random(in: 1..<100_000, using: &random))"
      let value = String(repeating: "x", count: Int.random(in: 0..<60, using: &random))
      switch Int.random(in: 0..<8, using: &random) {
      case 0: commands.append(["SET", key, value, "PX", number])
      case 1: commands.append(["EXPIRE", key, number])
      case 2: commands.append(["RESTORE", key, number, value])
      case 3: commands.append(["RESTORE", key, "1795000000001", value, "ABSTTL", "REPLACE"])
      case 4: commands.append(["PING"])
      case 5: commands.append(["SET", key, value])
      case 6: commands.append(["MULTI"])
      default: commands.append(["PEXPIRE", key, number])
      }
    }
    let bytes = Self.encoded(commands)
    let whole = Self.made(bytes)
    let sizes = (0..<7).map { _ in Int.random(in: 1...9, using: &random) }
    #expect(Self.made(bytes, portions: sizes) == whole)
    #expect(Self.made(bytes, portions: [1]) == whole)
    var scanner = AOFScanner()
    whole.withUnsafeBytes { scanner.consume($0) }
    #expect(scanner.fault == nil)
    #expect(scanner.offset == UInt64(whole.count))
    // No relative expiries are left.
    let text = Self.text(whole)
    for word in ["\r\nEXPIRE\r\n", "\r\nPEXPIRE\r\n", "\r\nPX\r\n"] {
      #expect(!text.contains(word))
    }
  }
}
