package import BackupTypes

/// Whether a server appends to the AOF on disk. If not, since when.
package enum Liveness: Sendable, Equatable {
  case live
  /// A dump is newer and replaces the AOF.
  case quiet(since: Instant)
  /// The times contradict each other. The AOF stays the newest state, and the dump is shipped, too.
  case unknown(since: Instant)

  /// Since when it is not known to be live; nil if it is live.
  var since: Instant? {
    switch self {
    case .live: nil
    case .quiet(let since), .unknown(let since): since
    }
  }
  var isLive: Bool { self == .live }
  var isQuiet: Bool { if case .quiet = self { true } else { false } }
  var isUnknown: Bool { if case .unknown = self { true } else { false } }
}
