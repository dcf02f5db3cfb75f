package import BackupFormat
import BackupTypes
package import HistoryLogic

/// Decides whether a shipper that has something to ship may claim the next timeline, or stands by.
///
/// The number of changes of the owner is bounded. An instance that lost the repository to another claim can
/// claim again only after the other one has ended cleanly, or if it has the directory that the other one
/// wrote from. So two shippers that are restarted again and again don't take the repository from each other
/// for ever.
package struct Ownership: Sendable {
  /// A timeline of this volume has no writer if it did not grow for this long while the directory holds
  /// more.
  package static let stagnation: Int64 = 600_000
  /// After a clean end, other instances wait this long, so that the same instance can come back.
  package static let courtesy: Int64 = 30_000

  package var source: SourceName
  package var instance: String
  package var directory: String
  /// Where this shipper runs. A claim without a place is one of release 0.1.0.
  package var place: Claim.Place
  /// The directory's file system keeps its inode numbers and its identifier.
  package var isStable: Bool
  package var takesOver: Bool

  package init(
    source: SourceName, instance: String, directory: String, place: Claim.Place = Claim.Place(),
    isStable: Bool = true, takesOver: Bool
  ) {
    self.source = source
    self.instance = instance
    self.directory = directory
    self.place = place
    self.isStable = isStable
    self.takesOver = takesOver
  }

  package struct Facts: Sendable {
    package var newest: Claim?
    /// Instances that claimed before, any timeline.
    package var instances: Set<String>
    /// The newest timeline was closed cleanly.
    package var isClean: Bool
    /// The writer of the newest timeline has ended, and said so, cleanly or not.
    package var isEnded: Bool
    /// The repository holds no restore point.
    package var isPointless: Bool
    /// For how long nothing was added to the newest timeline, whether it can be read or not, according to our
    /// own looks. Nil if there were not two looks yet.
    package var still: Int64?
    /// A `restore` made this directory from the newest history, which has not grown since.
    package var isHeir: Bool
    /// A claim above `newest` that can't be read.
    package var unreadable: UnreadableClaim?
    /// The newest claim is from this very process, perhaps for another directory under the same path.
    package var isOwn: Bool

    package init(
      newest: Claim?, instances: Set<String>, isClean: Bool, isPointless: Bool, still: Int64?,
      isHeir: Bool, isOwn: Bool = false, isEnded: Bool = false, unreadable: UnreadableClaim? = nil
    ) {
      self.newest = newest
      self.instances = instances
      self.isClean = isClean
      self.isPointless = isPointless
      self.still = still
      self.isHeir = isHeir
      self.isOwn = isOwn
      self.isEnded = isEnded
      self.unreadable = unreadable
    }
  }

  package enum Decision: Sendable, Equatable {
    case claim
    case standby(String)
  }

  package func decide(_ facts: Facts) -> Decision {
    guard !takesOver else { return .claim }
    if let newest = facts.newest, !isSameSource(newest) {
      return .standby(belongsToAnother(newest))
    }
    if let unreadable = facts.unreadable, !mayPass(unreadable, facts) {
      return .standby(isUnreadable(unreadable))
    }
    guard let newest = facts.newest else { return .claim }
    if facts.isOwn || isOwn(newest) { return .claim }
    let isSameDirectory = isSameDirectory(newest)
    let still = facts.still ?? 0
    if facts.isClean, isSameDirectory || facts.isHeir || still >= Ownership.courtesy {
      return .claim
    }
    let wasOwner = facts.instances.contains { isOwn($0) }
    if !wasOwner, facts.isHeir || facts.isPointless { return .claim }
    let isSameVolume = isSameDirectory && isSameVolume(newest)
    // The data that the writer could not ship before it ended is still on this volume. For example, Redis
    // continued to write until the writer's time to stop was over.
    if isSameVolume, facts.isEnded || still >= Ownership.stagnation { return .claim }
    return .standby(isWritten(newest, isSameVolume: isSameVolume))
  }

  /// Whether a claim that can't be read is passed at once. If something was shipped under it, its unknown
  /// writer may still be running, and gets time to show that. It can't write at the same time as we do, since
  /// it ends when it finds our claim.
  private func mayPass(_ claim: UnreadableClaim, _ facts: Facts) -> Bool {
    if claim.objects == 0 || facts.isOwn { return true }
    let isProbablyOwn = facts.newest.map { isOwn($0) } ?? true
    return facts.still ?? 0 >= (isProbablyOwn ? Ownership.courtesy : Ownership.stagnation)
  }

  /// The source in a new claim that follows `newest`.
  package func sourceText(after newest: Claim?) -> String {
    source.text(after: newest?.source)
  }

  // MARK: What is the same

  /// Whether a claim was made from this very directory: the same inode and birth time, whatever the device,
  /// and the same source. A block-level clone of the volume holds the same directory.
  package func isSameDirectory(_ claim: Claim) -> Bool {
    relation(to: claim) == .same && isSameSource(claim)
  }

  private func relation(to claim: Claim) -> DirectoryName.Relation {
    relation(to: claim.directory)
  }

  private func relation(to text: String) -> DirectoryName.Relation {
    guard let mine = DirectoryName(directory), let theirs = DirectoryName(text) else {
      return text == directory ? .same : .other
    }
    return mine.relation(to: theirs, isStable: isStable)
  }

  private func isSameSource(_ claim: Claim) -> Bool {
    source.isSame(
      as: claim.source,
      isSameDirectory: claim.directory == directory || relation(to: claim) == .same)
  }

  /// Whether it is proved that a claim for this directory was made on this volume, and not on the volume that
  /// this one was cloned from.
  ///
  /// If the devices identify themselves, they decide. Otherwise the device numbers decide within one boot,
  /// because a kernel gives a number to one file system at a time. A claim of release 0.1.0 has only the
  /// directory's name, which that release compares as well.
  private func isSameVolume(_ claim: Claim) -> Bool {
    guard let theirs = claim.place else { return claim.directory == directory }
    return place.isSameVolume(as: theirs) ?? false
  }

  /// Whether this instance made the claim.
  private func isOwn(_ claim: Claim) -> Bool {
    guard isOwn(claim.instance) else { return false }
    // A pod has one data directory. A machine can mount a clone next to its original.
    guard let boot = place.boot, host(of: instance) == boot[...], let theirs = claim.place else {
      return true
    }
    return place.isSameVolume(as: theirs) ?? true
  }

  /// `<host>/<directory>`, and a directory's name has no slash.
  private func isOwn(_ claimed: String) -> Bool {
    if claimed == instance { return true }
    guard let slash = claimed.lastIndex(of: "/"), host(of: claimed) == host(of: instance) else {
      return false
    }
    return relation(to: String(claimed[claimed.index(after: slash)...])) == .same
  }

  private func host(of instance: String) -> Substring? {
    instance.lastIndex(of: "/").map { instance[..<$0] }
  }

  // MARK: Words

  private func belongsToAnother(_ newest: Claim) -> String {
    let theirs = printable(newest.source)
    let name =
      theirs == newest.source && !theirs.contains("'") ? "--source '\(theirs)'" : "its --source"
    return
      "the repository belongs to \(theirs) (this is \(printable(source.text))); if this is the "
      + "same Redis, pass \(name); otherwise use a separate repository (another prefix), or "
      + "--take-over"
  }

  private func isUnreadable(_ claim: UnreadableClaim) -> String {
    "the claim of timeline \(claim.timeline) can't be read, and data was shipped to that timeline; it is "
      + "taken over when it has not grown for a while, or with --take-over"
  }

  private func isWritten(_ newest: Claim, isSameVolume: Bool) -> String {
    let timeline =
      "timeline \(newest.timeline) is written by \(printable(newest.source)) (instance "
      + "\(printable(newest.instance)))"
    if isSameVolume {
      return timeline + " from this directory; it is taken over when it has not grown for "
        + "\(humanDuration(milliseconds: Ownership.stagnation)), or with --take-over"
    }
    let directory =
      switch relation(to: newest) {
      case .same:
        " from this directory, or from the one that this volume was cloned from"
      case .other: " from another directory"
      case .unknown: "; this file system does not show whether from this directory"
      }
    return timeline + directory
      + "; it is taken over when that shipper shuts down cleanly, or with "
      + "--take-over"
  }
}

extension Claim.Place {
  /// Whether the volumes of two places are the same; nil if that is unknown.
  package func isSameVolume(as other: Claim.Place) -> Bool? {
    if let volume, let theirs = other.volume { return volume == theirs }
    guard let boot, boot == other.boot, let device, let number = other.device else { return nil }
    return device == number
  }
}
