package import BackupFormat
import BackupTypes
package import RedisFormats

/// Decides whether the state that a server would load has so much less than before that an accident is
/// likely. It never stops a backup: the new state is shipped, and a restore asks which state is wanted.
///
/// It judges only if nothing proves that one state follows the other. A log that continues explains any
/// decrease.
package enum ShrinkGuard {
  /// At most this many pins of drops are kept. The oldest is released first.
  package static let pinsMax = 10
  /// A state that is older than the last one by more than this is suspect. Milliseconds.
  package static let toleratedLoss: Int64 = 60_000
  /// Less than a tenth is suspect.
  private static let fraction: UInt64 = 10

  package typealias Suspicion = (reason: Claim.Suspicion.Reason, detail: String)

  /// What a server would load.
  package struct Loaded: Sendable, Equatable {
    /// The keys of the BASE that the log begins with; nil for a dump alone.
    package var base: KeyBounds?
    package var keys: KeyBounds

    package init(base: KeyBounds? = nil, keys: KeyBounds) {
      self.base = base
      self.keys = keys
    }
  }

  /// Why `found` is suspiciously less than `known`; nil if it is not.
  ///
  /// Keys that the new log removes are explained by it. So the state is suspect only if both its BASE and the
  /// end of its log hold too few keys. For example, after `appendonly` was switched off and on, the BASE holds
  /// all keys, and the log then records a DEL for each key that expires.
  ///
  /// - Parameter isWatched: `known` is the end of a log that was followed, which records each key that
  ///   expired before that end. If the new BASE is empty, the server started without data, so expiry explains
  ///   nothing. If the BASE has keys, the server was running, and keys may have expired while it had no log.
  package static func suspicion(known: KeyBounds, found: Loaded, isWatched: Bool) -> Suspicion? {
    let isExpiryKnown = isWatched && found.base?.atMost == 0
    if let base = found.base,
      suspicion(known: known, found: base, isExpiryKnown: isExpiryKnown) == nil
    {
      return nil
    }
    return suspicion(known: known, found: found.keys, isExpiryKnown: isExpiryKnown)
  }

  /// Why `found` is suspiciously less than `known`; nil if it is not. An unknown number in `found` counts as
  /// enough. If the number in `known` is unknown, only a state without keys is suspect.
  /// - Parameter isExpiryKnown: whether `known` no longer counts the keys that had expired by the time of
  ///   `found`. A followed log shows each expiry. Otherwise every key with a time to live may have expired.
  private static func suspicion(known: KeyBounds, found: KeyBounds, isExpiryKnown: Bool)
    -> Suspicion?
  {
    guard let most = found.atMost else { return nil }
    let before = known.atLeast
    // Neither was counted. The sizes are compared only if the new one is almost nothing, since the encodings
    // may differ.
    if let was = known.uncountedBytes, let bytes = found.uncountedBytes,
      bytes <= KeyBounds.tinyBytes, bytes < was / fraction
    {
      return (.smaller, "\(counted(bytes, "byte")), where there were \(was)")
    }
    if before == 0 {
      return known.atMost == nil && most == 0 ? (.empty, "no keys, where there were some") : nil
    }
    guard most < before else { return nil }
    if !isExpiryKnown, before - most <= known.expiring { return nil }
    if most == 0 { return (.empty, "no keys, where there were \(before)") }
    return most < before / fraction
      ? (.smaller, "\(counted(most, "key")), where there were \(before)") : nil
  }
}

extension GenerationIndex {
  /// RDB versions from this on hold the second in which the save began.
  private static let timedVersionMin = 7

  /// The time that the RDB itself contains; nil if `contentAt` is the time of the file.
  var savedAt: Instant? {
    guard let dataset, dataset.rdbVersion >= GenerationIndex.timedVersionMin else { return nil }
    return contentAt
  }
}

extension KeyBounds {
  package init(_ dataset: DatasetRecord, isAll: Bool = true) {
    self.init(counted: dataset.databases.map { ($0.number, $0.keys, $0.expires) }, isAll: isAll)
  }

  /// The number of keys that the index of a full copy gives. If commands follow the RDB in a BASE, their
  /// effect was not counted.
  package init(_ index: GenerationIndex) {
    guard let dataset = index.dataset else {
      self = .uncounted(bytes: index.size)
      return
    }
    let isRDB = index.kind == .dump || index.file.hasSuffix(".rdb") || index.size == 0
    self.init(dataset, isAll: isRDB && index.verdict == .good)
  }

  package init(_ estimate: Snapshot.Estimate) {
    self.init(atLeast: estimate.keys, expiring: estimate.expires)
  }

  /// Nil if nothing is known. An unknown number of keys is not the same as 0.
  var estimate: Snapshot.Estimate? {
    atLeast == 0 && atMost != 0 ? nil : .init(keys: atLeast, expires: expiring)
  }
}
