import BackupFormat
import BackupTypes
import Glibc
import TestSupport

extension SeededRandom {
  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
  mutating func chance(_ percent: Int) -> Bool { int(1...100) <= percent }
}

func command(_ arguments: String...) -> [UInt8] {
  var text = Array("*\(arguments.count)\r\n".utf8)
  for argument in arguments { text += Array("$\(argument.utf8.count)\r\n\(argument)\r\n".utf8) }
  return text
}

/// A fake digest that is different for different bytes.
func fakeDigest(_ bytes: some Sequence<UInt8>) -> ShortDigest {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  return ShortDigest(bytes: littleEndianBytes(hash) + littleEndianBytes(~hash))!
}

func fullDigest(_ seed: UInt64) -> Digest {
  Digest(bytes: (0..<4).flatMap { littleEndianBytes(seed &* 31 &+ $0) })!
}

func nonce(_ number: UInt64) -> Nonce {
  Nonce(bytes: littleEndianBytes(number) + littleEndianBytes(7))!
}

func generationID(_ number: UInt64, _ writer: UInt64 = 1) -> GenerationID {
  GenerationID(
    fingerprint: ShortDigest(bytes: littleEndianBytes(number) + littleEndianBytes(3))!,
    nonce: nonce(writer))
}

func at(_ milliseconds: Int64) -> Instant { Instant(milliseconds: milliseconds) }

func span(_ from: UInt64, _ to: UInt64, at time: Int64? = 1000, salt: UInt8 = 0) -> LogSpan {
  LogSpan(
    from: from, to: to, mark: time.map { at($0) },
    digest: fakeDigest(littleEndianBytes(from) + littleEndianBytes(to) + [salt]))
}

func claim(
  _ number: Int, parent: Int? = nil, fork: LogPosition? = nil, end: Claim.End? = nil,
  source: String = "s", instance: String = "i", directory: String = "d", place: Claim.Place? = nil
) -> Claim {
  Claim(
    timeline: TimelineNumber(number)!, nonce: nonce(UInt64(number)), repository: nonce(99),
    source: source, instance: instance, directory: directory, claimedAt: at(0), writer: "test",
    parent: parent.flatMap { TimelineNumber($0) }, fork: fork, end: end, suspicion: nil,
    place: place)
}

func position(_ timeline: Int, _ ordinal: Int, _ offset: UInt64) -> LogPosition {
  LogPosition(timeline: TimelineNumber(timeline)!, ordinal: ordinal, offset: offset)
}

func index(
  _ id: GenerationID, _ kind: GenerationIndex.Kind, file: String, contentAt: Int64,
  dataset: DatasetRecord? = nil, size: UInt64 = 100
) -> GenerationIndex {
  GenerationIndex(
    generation: id, kind: kind, file: file, size: size, pieces: [fullDigest(1)],
    contentAt: at(contentAt), verdict: .good, remark: nil, dataset: dataset)
}

func dataset(
  keys: UInt64, elements: UInt64? = nil, version: Int = 11, valkey: Bool = false
) -> DatasetRecord {
  let kind = DatasetRecord.Database.Kind(keys: keys, elements: elements ?? keys, bytes: 10)
  return DatasetRecord(
    server: nil, rdbVersion: version, isValkey: valkey,
    databases: [.init(number: 0, keys: keys, expires: 0, types: ["string": kind])], functions: 0)
}

/// The seeds of a random test: `LIFEBOAT_TEST_SEED` repeats one.
func seeds(default count: UInt64) -> (first: UInt64, count: UInt64) {
  guard let text = getenv("LIFEBOAT_TEST_SEED"), let seed = UInt64(String(cString: text)) else {
    return (1, count)
  }
  return (seed, 1)
}
