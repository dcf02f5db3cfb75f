import Glibc
import RedisFormats
import TestSupport

/// A file of `Fixtures`, which is beside this source file.
func fixture(_ name: String, beside source: String = #filePath) throws -> [UInt8] {
  let folder = source.split(separator: "/", omittingEmptySubsequences: false).dropLast()
  let path = folder.joined(separator: "/") + "/Fixtures/" + name
  let descriptor = open(path, O_RDONLY)
  guard descriptor >= 0 else { throw MissingFixture(path: path) }
  defer { close(descriptor) }
  var content: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    guard count > 0 else { return content }
    content += buffer.prefix(count)
  }
}

struct MissingFixture: Error { var path: String }

/// The pieces of `bytes` when cut at `cuts`, which are in ascending order.
func pieces(_ bytes: [UInt8], cutAt cuts: [Int]) -> [ArraySlice<UInt8>] {
  var result: [ArraySlice<UInt8>] = []
  var start = 0
  for cut in cuts + [bytes.count] {
    result.append(bytes[start..<cut])
    start = cut
  }
  return result
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// `source` with a few bytes replaced, removed, repeated or cut off.
func mutated(_ source: [UInt8], using generator: inout SeededRandom) -> [UInt8] {
  var copy = source
  for _ in 0..<Int.random(in: 1...4, using: &generator) where !copy.isEmpty {
    let at = Int.random(in: 0..<copy.count, using: &generator)
    switch Int.random(in: 0..<5, using: &generator) {
    case 0: copy[at] = UInt8.random(in: 0...255, using: &generator)
    case 1: copy.remove(at: at)
    case 2: copy.insert(UInt8.random(in: 0...255, using: &generator), at: at)
    case 3: copy[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    default: copy.removeSubrange(at...)
    }
  }
  return copy
}

/// A few random cuts within `count`, in ascending order.
func randomCuts(_ count: Int, using generator: inout SeededRandom) -> [Int] {
  (0..<Int.random(in: 0...3, using: &generator))
    .map { _ in Int.random(in: 0...count, using: &generator) }.sorted()
}

func walk(_ bytes: [UInt8], cutAt cuts: [Int] = []) -> (walker: RDBWalker, used: Int) {
  var walker = RDBWalker()
  var used = 0
  for piece in pieces(bytes, cutAt: cuts) {
    used += piece.withUnsafeBytes { walker.consume($0) }
  }
  _ = walker.finish()
  return (walker, used)
}

func scan(_ bytes: [UInt8], cutAt cuts: [Int] = []) -> AOFScanner {
  var scanner = AOFScanner()
  for piece in pieces(bytes, cutAt: cuts) { piece.withUnsafeBytes { scanner.consume($0) } }
  return scanner
}

func command(_ arguments: String...) -> [UInt8] {
  var text = bytes("*\(arguments.count)\r\n")
  for argument in arguments { text += bytes("$\(argument.utf8.count)\r\n\(argument)\r\n") }
  return text
}

/// A whole dump of 131 bytes: string a, list l, hash h, by Redis 7.0.15.
let vector: [UInt8] = {
  let text = """
    524544495330303130 fa09 72656469732d766572 06 372e302e3135
    fa0a 72656469732d62697473 c040 fa05 6374696d65 c22d5d036b
    fa08 757365642d6d656d c2d8d70f00 fa08 616f662d62617365 c000
    fe00 fb0300 0001 61 c001 12016c 01 02 09 090000000100 0101ff
    10 0168 0d 0d00000002008166 02 8176 02 ff
    ff 44fb4e22b99b3e88
    """
  let digits = text.compactMap { $0.hexDigitValue }
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}()

/// `records` as a complete RDB with a valid trailer.
func rdb(_ records: [UInt8], magic: String = "REDIS0012", checksum: Bool = true) -> [UInt8] {
  let content = Array(magic.utf8) + records + [0xff]
  var crc = CRC64()
  if checksum { content.withUnsafeBytes { crc.update($0) } }
  return content + (0..<8).map { UInt8(truncatingIfNeeded: crc.value >> (8 * $0)) }
}
