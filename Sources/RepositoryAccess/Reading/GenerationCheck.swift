package import BackupFormat
package import BackupTypes
package import RedisFormats

/// Checks a dump or BASE as it streams: structure, checksum and content.
package struct GenerationCheck: Sendable {
  package enum Verdict: Sendable, Equatable {
    case good(remark: String?)
    case unverified(String)
    case broken(String)
  }

  private enum Reader: Sendable {
    case undecided
    case rdb(RDBWalker)
    /// Commands, or commands after an RDB. It also gets anything that is neither, and refuses it.
    case log(AOFScanner, after: RDBWalker?)
  }

  private let kind: GenerationIndex.Kind
  private var reader = Reader.undecided
  private var size: UInt64 = 0
  private var trailing: UInt64 = 0
  /// The last two bytes: a log of commands ends with CR LF.
  private var end: (UInt8, UInt8) = (0, 0)

  private var observer: (any RDBKeyObserver)?
  private let expiredBy: Instant?

  /// - Parameter observer: receives the keys.
  /// - Parameter expiredBy: keys that expire by then are counted.
  package init(
    kind: GenerationIndex.Kind, observer: (any RDBKeyObserver)? = nil, expiredBy: Instant? = nil
  ) {
    self.expiredBy = expiredBy
    self.kind = kind
    self.observer = observer
  }

  /// Where the commands begin in a BASE that is a log, or that ends with one; nil if there are none.
  package var commandsStart: UInt64? {
    guard case .log(_, let walker) = reader else { return nil }
    guard case .ended(let end)? = walker?.state else { return 0 }
    return end
  }

  /// The observer after it received the keys; nil if there was no RDB.
  package var heard: (any RDBKeyObserver)? {
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
    end = (bytes.count > 1 ? bytes[bytes.count - 2] : end.1, bytes[bytes.count - 1])
    if case .undecided = reader {
      // A file that does not begin with a command begins with a magic, known or not. The walker decides
      // which.
      let isLog = bytes[0] == UInt8(ascii: "*") || bytes[0] == UInt8(ascii: "#")
      reader =
        isLog && kind == .base
        ? .log(GenerationCheck.scanner(), after: nil) : .rdb(walker())
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

  private func walker() -> RDBWalker {
    var walker = RDBWalker(observer: observer)
    walker.expiredBy = expiredBy?.milliseconds
    return walker
  }

  /// Keys of the RDB that expire by the time that was given.
  package var expired: UInt64 {
    switch reader {
    case .undecided: 0
    case .rdb(let walker): walker.expired
    case .log(_, let walker): walker?.expired ?? 0
    }
  }

  /// A verdict before the end of the file: a look at a directory reads no further than necessary.
  enum EarlyVerdict: Sendable, Equatable {
    /// At least one key, function or command.
    case content
    /// A program wrote it in a form that this release can't read, or can't read to its end.
    case unknown(String)
    case broken(String)
  }

  /// Why no server loads the file, whatever follows. Nil if that is not known before its end.
  package var brokenEarly: String? {
    if case .broken(let reason)? = early { reason } else { nil }
  }

  /// Nil: nothing is known yet.
  var early: EarlyVerdict? {
    switch reader {
    case .undecided: return nil
    case .rdb(let walker):
      if case .unknown(let fault) = walker.state { return .unknown(fault.reason) }
      if case .malformed(let fault) = walker.state {
        return .broken("\(fault.reason) at offset \(fault.offset)")
      }
      return content(of: walker)
    case .log(let scanner, let walker):
      if let found = walker.flatMap({ content(of: $0) }) { return found }
      if scanner.hasContent { return .content }
      return scanner.fault.map { .broken("\($0.reason) at offset \($0.offset)") }
    }
  }

  private func content(of walker: RDBWalker) -> EarlyVerdict? {
    walker.hasContent ? .content : nil
  }

  private static func scanner(at offset: UInt64 = 0) -> AOFScanner {
    var scanner = AOFScanner(at: offset)
    scanner.keys = KeySample()
    return scanner
  }

  /// How many keys a server would load from it, as far as the walk understood it.
  package var keys: KeyBounds {
    switch reader {
    case .undecided: return .none
    case .rdb(let walker): return GenerationCheck.keys(of: walker, size)
    case .log(let scanner, let walker):
      return scanner.keyBounds(over: walker.map { GenerationCheck.keys(of: $0, size) } ?? .none)
    }
  }

  /// If only a part was counted, the number of keys in the whole is unknown.
  private static func keys(of walker: RDBWalker, _ size: UInt64) -> KeyBounds {
    let summary = walker.summary
    guard case .ended = walker.state, !summary.isPartial else { return .uncounted(bytes: size) }
    return KeyBounds(
      counted: summary.databases.map { ($0.key, $0.value.keys, $0.value.expires) })
  }

  /// Call once, at the end of the file. The summary's counts are `isPartial` if the content of the whole is
  /// not known.
  package mutating func finish() -> (verdict: Verdict, summary: RDBSummary?) {
    switch reader {
    case .undecided:
      // A fresh server with `aof-use-rdb-preamble no` begins with a BASE of zero bytes: no keys.
      return kind == .base ? (.good(remark: nil), RDBSummary()) : (.broken("it is empty"), nil)
    case .rdb(var walker):
      let state = walker.finish()
      return (verdict(of: state, walker), walker.summary)
    case .log(let scanner, let walker):
      if let fault = scanner.fault {
        return (.broken("\(fault.reason) at offset \(fault.offset)"), walker?.summary)
      }
      guard scanner.boundary == size else {
        return (.broken("it ends inside a command, at offset \(scanner.boundary)"), walker?.summary)
      }
      guard var summary = walker?.summary else {
        return (.good(remark: nil), scanner.hasContent ? nil : RDBSummary())
      }
      // The RDB is empty and everything is in the commands after it, so the dataset is not empty.
      let isBare = summary.keys == 0 && summary.functions == 0
      summary.isPartial = summary.isPartial || isBare && scanner.hasContent
      return (.good(remark: nil), summary)
    }
  }

  private func verdict(of state: RDBWalker.State, _ walker: RDBWalker) -> Verdict {
    let checksum = walker.summary.checksum
    switch state {
    case .ended:
      if trailing > 0 {
        return .good(remark: "\(counted(trailing, "byte")) after its end, which servers ignore")
      }
      return .good(remark: checksum == .none ? "it has no checksum" : nil)
    case .walking: return .broken("it is truncated")
    case .malformed(let fault): return .broken("\(fault.reason) at offset \(fault.offset)")
    case .unknown(let fault):
      // An RDB of a known version ends with the checksum of everything before it, even if commands follow.
      guard walker.mayBeWhole(hasCommands: kind == .base && end == (0x0d, 0x0a)) else {
        return .broken("it has no end with a matching checksum: it was truncated or changed")
      }
      return .unverified(
        "its structure is not verified beyond offset \(fault.offset): \(fault.reason)")
    }
  }
}

extension DatasetRecord {
  /// Nil if the counts are not those of the whole: unknown is not 0.
  package init?(_ summary: RDBSummary) {
    guard !summary.isPartial else { return nil }
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
