package import BackupFormat
import BackupTypes
package import RedisFormats

/// Checks a dump or BASE while it streams past: structure, checksum, and what it holds.
package struct GenerationCheck: Sendable {
  package enum Verdict: Sendable, Equatable {
    case good(remark: String?)
    case unverified(String)
    case broken(String)
  }

  private enum Reader: Sendable {
    case undecided
    case rdb(RDBWalker)
    /// Commands, or commands behind an RDB; also whatever is neither, which it refuses.
    case log(AOFScanner, after: RDBWalker?)
  }

  private let kind: GenerationIndex.Kind
  private var reader = Reader.undecided
  private var size: UInt64 = 0
  private var trailing: UInt64 = 0

  private var observer: (any RDBKeyObserver)?

  /// - Parameter observer: is told of the keys.
  package init(kind: GenerationIndex.Kind, observer: (any RDBKeyObserver)? = nil) {
    self.kind = kind
    self.observer = observer
  }

  /// Where the commands begin in a BASE that is a log, or has one behind it; nil where there are none.
  var commandsStart: UInt64? {
    guard case .log(_, let walker) = reader else { return nil }
    guard case .ended(let end)? = walker?.state else { return 0 }
    return end
  }

  /// With what it has heard; nil where there was no RDB.
  var heard: (any RDBKeyObserver)? {
    switch reader {
    case .undecided: nil
    case .rdb(let walker): walker.observer
    case .log(_, let walker): walker?.observer
    }
  }

  package mutating func consume(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    let start = size
    size += UInt64(bytes.count)
    if case .undecided = reader {
      // A piece is far longer than the magic, so the first byte decides.
      let isRDB = bytes[0] == UInt8(ascii: "R") || bytes[0] == UInt8(ascii: "V")
      reader =
        isRDB || kind == .dump
        ? .rdb(RDBWalker(observer: observer)) : .log(GenerationCheck.scanner(), after: nil)
      observer = nil
    }
    switch reader {
    case .undecided: return
    case .rdb(var walker):
      reader = .undecided  // so that what the observer has gathered is not copied
      let used = walker.consume(bytes)
      reader = .rdb(walker)
      guard used < bytes.count else { return }
      if kind == .dump {
        trailing += UInt64(bytes.count - used)
      } else {
        var scanner = GenerationCheck.scanner(at: start + UInt64(used))
        scanner.consume(UnsafeRawBufferPointer(rebasing: bytes[used...]))
        reader = .log(scanner, after: walker)
      }
    case .log(var scanner, let walker):
      scanner.consume(bytes)
      reader = .log(scanner, after: walker)
    }
  }

  private static func scanner(at offset: UInt64 = 0) -> AOFScanner {
    var scanner = AOFScanner(at: offset)
    scanner.keys = KeySample()
    return scanner
  }

  /// How many keys a server would load from it, as far as the walk understood it.
  var keys: KeyBounds {
    switch reader {
    case .undecided: return .none
    case .rdb(let walker): return GenerationCheck.keys(of: walker)
    case .log(let scanner, let walker):
      return scanner.keyBounds(over: walker.map { GenerationCheck.keys(of: $0) } ?? .none)
    }
  }

  private static func keys(of walker: RDBWalker) -> KeyBounds {
    var isAll = false
    if case .ended = walker.state { isAll = true }
    return KeyBounds(
      counted: walker.summary.databases.map { ($0.key, $0.value.keys, $0.value.expires) },
      isAll: isAll)
  }

  /// To be called once, at the end of the file.
  package mutating func finish() -> (verdict: Verdict, summary: RDBSummary?) {
    switch reader {
    case .undecided: return (.broken("it is empty"), nil)
    case .rdb(var walker):
      let state = walker.finish()
      return (verdict(of: state, walker.summary), walker.summary)
    case .log(let scanner, let walker):
      if let fault = scanner.fault {
        return (.broken("\(fault.reason) at offset \(fault.offset)"), walker?.summary)
      }
      guard scanner.boundary == size else {
        return (.broken("it ends inside a command, at offset \(scanner.boundary)"), walker?.summary)
      }
      return (.good(remark: nil), walker?.summary)
    }
  }

  private func verdict(of state: RDBWalker.State, _ summary: RDBSummary) -> Verdict {
    switch state {
    case .ended:
      if trailing > 0 {
        return .good(remark: "\(trailing) bytes follow its end, which servers ignore")
      }
      return .good(remark: summary.checksum == .none ? "it has no checksum" : nil)
    case .walking: return .broken("it is truncated")
    case .malformed(let fault): return .broken("\(fault.reason) at offset \(fault.offset)")
    case .unknown(let fault):
      if summary.checksum == .differs { return .broken("its checksum does not match") }
      return .unverified(
        "its structure is not verified beyond offset \(fault.offset): \(fault.reason)")
    }
  }
}

extension DatasetRecord {
  package init(_ summary: RDBSummary) {
    let server = summary.serverVersion.map { (summary.isValkey ? "valkey " : "redis ") + $0 }
    self.init(
      server: server, rdbVersion: summary.version, isValkey: summary.isValkey,
      databases: summary.databases.sorted { $0.key < $1.key }.map { number, database in
        Database(
          number: number, keys: database.keys, expires: database.expires,
          types: database.types.mapValues {
            .init(keys: $0.keys, elements: $0.elements, bytes: $0.bytes)
          })
      }, functions: summary.functions)
  }
}
