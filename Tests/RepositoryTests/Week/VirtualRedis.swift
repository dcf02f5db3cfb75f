import BackupFormat
import BackupTypes
import HistoryLogic
import WriterLogic

/// A Redis under a steady load on a virtual clock. Each tick has one command, which sets `c` to the number of
/// ticks so far. Sometimes there is a rewrite. So the last command of a restored log shows how far the log
/// goes.
struct VirtualRedis {
  /// One file of the AOF.
  final class File {
    let pin: PinID
    let name: String
    let sequence: Int64
    let born: Instant
    var bytes: [UInt8]
    var modified: Instant

    init(pin: Int, name: String, sequence: Int64, born: Instant, bytes: [UInt8]) {
      self.pin = PinID(pin)
      self.name = name
      self.sequence = sequence
      self.born = born
      self.bytes = bytes
      modified = born
    }
  }

  private(set) var now: Instant
  /// When each command was executed.
  private(set) var written: [Instant] = []
  var count: Int { written.count }
  private(set) var base: File
  private(set) var increments: [File]
  private(set) var files: [PinID: File] = [:]
  private var manifestModified: Instant
  private var pins = 0
  private var sequence: Int64 = 1

  init(at start: Instant) {
    now = start
    manifestModified = start
    base = File(
      pin: 1, name: "appendonly.aof.1.base.rdb", sequence: 1, born: start,
      bytes: VirtualRedis.dump(count: 0))
    increments = [
      File(pin: 2, name: "appendonly.aof.1.incr.aof", sequence: 1, born: start, bytes: [])
    ]
    pins = 2
    for file in [base] + increments { files[file.pin] = file }
  }

  /// Advances by this many seconds, with one command.
  mutating func tick(seconds: Int64 = 1) {
    now = now.advanced(byMilliseconds: seconds * 1000)
    written.append(now)
    let value = "\(count)"
    increments.last!.bytes += Array(
      "*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$\(value.utf8.count)\r\n\(value)\r\n".utf8)
    increments.last!.modified = now
  }

  /// How many commands had been executed by then.
  func count(at instant: Instant) -> Int {
    written.lastIndex { $0 <= instant }.map { $0 + 1 } ?? 0
  }

  /// The first half of a rewrite: from now on, commands go into the next file.
  mutating func beginRewrite() {
    sequence += 1
    pins += 1
    let made = File(
      pin: pins, name: "appendonly.aof.\(sequence).incr.aof", sequence: sequence, born: now,
      bytes: [])
    files[made.pin] = made
    increments.append(made)
    manifestModified = now
    atRewrite = count
  }
  private var atRewrite = 0

  /// The second half: the BASE is complete, and the files before it are deleted.
  mutating func finishRewrite() {
    pins += 1
    base = File(
      pin: pins, name: "appendonly.aof.\(sequence).base.rdb", sequence: sequence, born: now,
      bytes: VirtualRedis.dump(count: atRewrite))
    files[base.pin] = base
    increments.removeFirst(increments.count - 1)
    manifestModified = now
  }

  /// Only pinned files stay.
  mutating func letGo(except pins: Set<PinID>) {
    let named = Set(([base] + increments).map(\.pin))
    files = files.filter { named.contains($0.key) || pins.contains($0.key) }
  }

  var view: CaptureView {
    CaptureView(
      at: now, dump: nil,
      aof: .set(
        AOFSetView(
          form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
          base: .init(file: pinned(base), sequence: base.sequence),
          increments: increments.map { .init(file: pinned($0), sequence: $0.sequence) },
          manifestModified: moment(manifestModified))))
  }

  private func pinned(_ file: File) -> PinnedFile {
    PinnedFile(
      pin: file.pin, name: file.name, size: UInt64(file.bytes.count),
      modified: moment(file.modified), born: moment(file.born),
      identity: FileIdentity(
        inode: UInt64(file.pin.value), bornSeconds: file.born.milliseconds / 1000,
        bornNanoseconds: 0))
  }
  private func moment(_ time: Instant) -> FileMoment {
    FileMoment(
      seconds: time.milliseconds / 1000, nanoseconds: time.milliseconds % 1000 * 1_000_000)
  }

  /// A dump with `c` in it, of a server that writes no checksums.
  static func dump(count: Int) -> [UInt8] {
    let value = Array("\(count)".utf8)
    return Array("REDIS0011".utf8) + [0xfe, 0x00, 0x00, 0x01, UInt8(ascii: "c")]
      + [UInt8(value.count)] + value + [0xff] + [UInt8](repeating: 0, count: 8)
  }

  /// The value of `c` after a server has loaded a dump and logs; nil if this Redis did not write them.
  static func count(dump: [UInt8], logs: [[UInt8]]) -> Int? {
    guard dump.count > 24 else { return nil }
    var last = Int(String(decoding: dump[15..<(dump.count - 9)], as: UTF8.self))
    for log in logs {
      for command in log.split(separator: UInt8(ascii: "*")) {
        let words = String(decoding: command, as: UTF8.self).split(separator: "\r\n")
        // Each command must follow the previous one.
        guard words.count == 7, let count = Int(words[6]), count == (last ?? -1) + 1 else {
          return nil
        }
        last = count
      }
    }
    return last
  }
}
