package import BackupTypes
package import ObjectStorage

/// What a probe saw, in the order in which it did it. Whatever failed does not keep the rest from being
/// tried: a role that may only read is told so, and not that nothing works.
package struct ProbeObservations: Sendable {
  package enum Content: Sendable, Hashable {
    case absent
    /// What was written first.
    case first
    /// What was written second, under a name that was taken.
    case replaced
    case foreign
  }

  /// So many are written before the listing.
  package static let objects = 3
  /// So many write one name at once.
  package static let racers = 4

  /// Objects under names that are free.
  package var created: Result<Void, LifeboatError>
  /// Other bytes under one of these names.
  package var createdAgain: Result<CreateOutcome, LifeboatError>
  /// What is read of that name then.
  package var content: Result<Content, LifeboatError>
  /// How many of several writers of one name were told that theirs is there.
  package var winners: Result<Int, LifeboatError>
  /// How many of the objects a complete listing shows.
  package var listed: Result<Int, LifeboatError>
  package var deleted: Result<Void, LifeboatError>
  package var listedAfterwards: Result<Int, LifeboatError>
  /// The store's clock minus this machine's, in milliseconds; nil: it has none.
  package var clockOffset: Result<Int64?, LifeboatError>
  /// What the store itself says, once it was asked to create something.
  package var createsConditionally: Bool

  package init(
    created: Result<Void, LifeboatError>, createdAgain: Result<CreateOutcome, LifeboatError>,
    content: Result<Content, LifeboatError>, winners: Result<Int, LifeboatError>,
    listed: Result<Int, LifeboatError>, deleted: Result<Void, LifeboatError>,
    listedAfterwards: Result<Int, LifeboatError>, clockOffset: Result<Int64?, LifeboatError>,
    createsConditionally: Bool
  ) {
    self.created = created
    self.createdAgain = createdAgain
    self.content = content
    self.winners = winners
    self.listed = listed
    self.deleted = deleted
    self.listedAfterwards = listedAfterwards
    self.clockOffset = clockOffset
    self.createsConditionally = createsConditionally
  }
}
