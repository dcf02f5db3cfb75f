import BackupFormat
import BackupTypes
import TestSupport
import Testing

@Suite struct LogPayloadTests {
  private let span = LogSpan(
    from: 10, to: 20, mark: nil, digest: ShortDigest(bytes: [UInt8](repeating: 0xaa, count: 16))!)

  @Test("what is encoded is decoded")
  func roundTrip() throws {
    let marks = [
      Mark(offset: 10, time: Instant(milliseconds: .min), kind: .seen),
      Mark(offset: 20, time: Instant(milliseconds: .max), kind: .annotation),
    ]
    let payload = LogPayload(nonce: writer, marks: marks, bytes: Array(0..<10))
    #expect(try LogPayload(decoding: payload.encoded(), span: span) == payload)
  }

  @Test("any bytes are a payload or corrupt; marks stay within the span and in order")
  func total() throws {
    var random = SeededRandom(seed: 2)
    let whole = LogPayload(
      nonce: writer, marks: [Mark(offset: 12, time: Instant(milliseconds: 5), kind: .seen)],
      bytes: Array(0..<10)
    ).encoded()
    for round in 0..<20_000 {
      var bytes = whole
      if round % 2 == 0 {
        bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
          UInt8.random(in: 0...255, using: &random)
        }
      } else {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
        if Bool.random(using: &random) {
          bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
        }
      }
      do {
        let made = try LogPayload(decoding: bytes, span: span)
        #expect(made.encoded() == bytes)
        #expect(made.marks.allSatisfy { (10...20).contains($0.offset) })
      } catch { #expect(error.code == .corrupt) }
    }
  }
}
