package import BackupFormat
import BackupTypes
package import RedisFormats

/// Decides whether what a server would load is suddenly so much less than what came before that it may be
/// an accident. It never stops a backup: what it finds is shipped, and whoever restores is asked.
///
/// Only where nothing proves that one state follows the other is it asked: a log that goes on explains
/// whatever became less.
package enum ShrinkGuard {
  /// At most so many pins of drops are kept; the oldest is let go first.
  package static let pinsMax = 10
  /// Older than the last state by more than this is suspect.
  package static let toleratedLoss: Int64 = 60_000
  /// Below a tenth is much smaller.
  private static let fraction: UInt64 = 10

  package typealias Suspicion = (reason: Claim.Suspicion.Reason, detail: String)

  /// Why `found` is suspiciously less than `known`; nil when it is not. What is not known is taken to be
  /// enough, and of a state before of which nothing is known only that it was one: then no keys are less.
  /// - Parameter isExpiryKnown: whether `known` had lost the keys that expired by the time of `found`. A log
  ///   that is followed says each. Else as many may be gone as had a time to live.
  package static func suspicion(known: KeyBounds, found: KeyBounds, isExpiryKnown: Bool)
    -> Suspicion?
  {
    guard let most = found.atMost else { return nil }
    let before = known.atLeast
    if before == 0 {
      return known.atMost == nil && most == 0 ? (.empty, "no keys, where there were some") : nil
    }
    guard most < before else { return nil }
    if !isExpiryKnown, before - most <= known.expiring { return nil }
    if most == 0 { return (.empty, "no keys, where there were \(before)") }
    return most < before / fraction ? (.smaller, "\(most) keys, where there were \(before)") : nil
  }
}

extension KeyBounds {
  package init(_ dataset: DatasetRecord, isAll: Bool = true) {
    self.init(counted: dataset.databases.map { ($0.number, $0.keys, $0.expires) }, isAll: isAll)
  }

  /// As the index of a full copy says it. Behind the RDB of a BASE that is not one as a whole come commands,
  /// which nobody counted.
  package init(_ index: GenerationIndex) {
    guard let dataset = index.dataset else {
      self = .unknown
      return
    }
    let isRDB = index.kind == .dump || index.file.hasSuffix(".rdb") || index.size == 0
    self.init(dataset, isAll: isRDB && index.verdict == .good)
  }

  package init(_ estimate: Snapshot.Estimate) {
    self.init(atLeast: estimate.keys, expiring: estimate.expires)
  }

  /// Nil: nothing is known.
  var estimate: Snapshot.Estimate? {
    atLeast == 0 && atMost == nil ? nil : .init(keys: atLeast, expires: expiring)
  }
}
