package import BackupFormat
import BackupTypes

/// Decides whether a shipper that has something to ship may claim the next timeline, or stands by.
///
/// Bounded by construction: an instance that lost the repository to another claims again only after a
/// clean end of the other's, or from the very directory that the other wrote from, so two shippers that
/// are restarted for ever change the owner a bounded number of times.
package struct Ownership: Sendable {
  /// A timeline of this directory that did not grow for so long, while the directory holds more, has no
  /// writer.
  package static let stagnation: Int64 = 600_000
  /// After a clean end, its own instance is given so long to come back.
  package static let courtesy: Int64 = 30_000

  package var source: String
  package var instance: String
  package var directory: String
  package var takesOver: Bool

  package init(source: String, instance: String, directory: String, takesOver: Bool) {
    self.source = source
    self.instance = instance
    self.directory = directory
    self.takesOver = takesOver
  }

  package struct Facts: Sendable {
    package var newest: Claim?
    /// Instances that claimed before, any timeline.
    package var instances: Set<String>
    /// The newest timeline was closed in good order.
    package var isClean: Bool
    /// The repository holds no restore point.
    package var isPointless: Bool
    /// How long the newest timeline has not grown, as we saw it; nil when we did not look twice.
    package var still: Int64?
    /// A `restore` made this directory from the newest history, which has not grown since.
    package var isHeir: Bool
    /// The newest claim is of this very process, perhaps for another directory under the same path.
    package var isOwn: Bool

    package init(
      newest: Claim?, instances: Set<String>, isClean: Bool, isPointless: Bool, still: Int64?,
      isHeir: Bool, isOwn: Bool = false
    ) {
      self.newest = newest
      self.instances = instances
      self.isClean = isClean
      self.isPointless = isPointless
      self.still = still
      self.isHeir = isHeir
      self.isOwn = isOwn
    }
  }

  package enum Decision: Sendable, Equatable {
    case claim
    case standby(String)
  }

  package func decide(_ facts: Facts) -> Decision {
    guard let newest = facts.newest, !takesOver else { return .claim }
    guard newest.source == source else {
      return .standby(
        "the repository belongs to \(printable(newest.source)) (this is \(source)); each Redis has a "
          + "repository of its own: change the prefix, or give --take-over")
    }
    if newest.instance == instance || facts.isOwn { return .claim }
    let owner = "\(printable(newest.source)) (instance \(printable(newest.instance)))"
    let isSameDirectory = newest.directory == directory
    let still = facts.still ?? 0
    if facts.isClean, isSameDirectory || facts.isHeir || still >= Ownership.courtesy {
      return .claim
    }
    let wasOwner = facts.instances.contains(instance)
    if !wasOwner, facts.isHeir || facts.isPointless { return .claim }
    if isSameDirectory, still >= Ownership.stagnation { return .claim }
    if isSameDirectory {
      return .standby(
        "timeline \(newest.timeline) is written by \(owner) from this directory; it is taken over when "
          + "it has not grown for \(humanDuration(milliseconds: Ownership.stagnation)), or with --take-over"
      )
    }
    return .standby(
      "timeline \(newest.timeline) is written by \(owner) from another directory; it is taken over "
        + "when that ends in good order, or with --take-over")
  }
}
