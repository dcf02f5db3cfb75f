package import BackupFormat
import BackupTypes
import RedisFormats

/// Whether what the store acknowledged gives the state that one look saw.
///
/// Example: a look saw `base.1`, and `incr.1` with 500 bytes. It is covered if the last snapshot in the
/// repository names both in one chain, `base.1` in the version that is on disk, and the log of `incr.1` is
/// acknowledged up to byte 500 or more. After a rewrite the look sees `base.2` and `incr.2`. A snapshot
/// whose chain still begins with `base.1` and continues through `incr.1` to `incr.2` gives the same state.
package struct Coverage: Sendable, Equatable {
  /// Some bytes of the log are not durable.
  package var lacksLog = false
  /// A dump or a base is not durable.
  package var lacksCopy = false
  package var bytes: UInt64 = 0
  /// The file whose log is not fully durable, and the offset from which it is not.
  package var lacking: (file: SourceSample.File, durable: UInt64)?
  /// Why the shipping path can't ship the missing part.
  package var reason: String?

  package var isComplete: Bool { !lacksLog && !lacksCopy }

  package static func == (a: Coverage, b: Coverage) -> Bool {
    a.lacksLog == b.lacksLog && a.lacksCopy == b.lacksCopy && a.bytes == b.bytes
      && a.lacking?.file == b.lacking?.file && a.lacking?.durable == b.lacking?.durable
      && a.reason == b.reason
  }

  /// - Parameter needsDump: the dump may hold more than the AOF.
  /// - Parameter tails: the ends of files that a server does not load.
  package static func of(
    _ sample: SourceSample, by confirmed: Confirmed?, needsDump: Bool,
    without tails: [FileIdentity: IgnoredTail] = [:]
  ) -> Coverage {
    var coverage = Coverage()
    if let log = sample.line.log, log.hasContent {
      coverage.judge(log, confirmed, tails)
      if confirmed?.isDumpNewest == true, !needsDump { coverage.lacksLog = true }
    }
    guard needsDump, let dump = sample.dump else { return coverage }
    if confirmed?.dumps.contains(dump.version) != true {
      coverage.lacksCopy = true
      coverage.bytes += dump.version.size
      coverage.reason = coverage.reason ?? confirmed?.refused[dump.version]
    }
    return coverage
  }

  private mutating func judge(
    _ log: SourceSample.Log, _ confirmed: Confirmed?, _ tails: [FileIdentity: IgnoredTail]
  ) {
    guard let chain = confirmed?.chain else {
      lacksLog = log.files.contains { $0.version.size > 0 }
      lacksCopy = log.base != nil
      bytes += log.files.reduce(0) { $0 + $1.version.size } + (log.base?.version.size ?? 0)
      reason = log.base.flatMap { confirmed?.refused[$0.version] }
      return
    }
    if !isBaseDurable(log, chain), let base = log.base {
      lacksCopy = true
      bytes += base.version.size
      reason = confirmed?.refused[base.version]
    }
    for file in log.files where file.version.size > 0 {
      let durable = chain.files[file.version.identity] ?? 0
      let tail = IgnoredTail(start: durable, end: file.version.size)
      guard durable < file.version.size, tails[file.version.identity] != tail else { continue }
      lacksLog = true
      bytes += file.version.size - durable
      lacking = lacking ?? (file, durable)
    }
    // A set without a base in its manifest is another set if the chain begins with a base.
    if log.base == nil, chain.base != nil, log.files.contains(where: { $0.version.size > 0 }) {
      lacksLog = true
    }
  }

  private func isBaseDurable(_ log: SourceSample.Log, _ chain: Confirmed.Chain) -> Bool {
    guard let base = log.base else { return true }
    // An empty base file adds nothing to the state.
    if base.version.size == 0, chain.base == nil { return true }
    if let known = chain.base, known.name == base.name {
      return known.versions.contains(base.version)
    }
    // The chain begins before this base. It holds the state if it continues through the set's first file.
    guard let first = log.files.first else { return false }
    return chain.files[first.version.identity] != nil
  }
}

/// Bytes at the end of a file that a server passes over, or truncates, when it loads the file.
package struct IgnoredTail: Sendable, Equatable {
  package var start: UInt64
  package var end: UInt64
  package init(start: UInt64, end: UInt64) {
    self.start = start
    self.end = end
  }
}
