package import BackupTypes
package import ObjectStorage

/// The results of a probe, in order. A failed step does not prevent the others, so that a read-only role is
/// reported as such, and not as if nothing worked.
package struct ProbeObservations: Sendable {
  package enum Content: Sendable, Hashable {
    case absent
    /// What was written first.
    case first
    /// What was written second, under a name that was already taken.
    case replaced
    case foreign
  }

  /// How many are written before the listing.
  package static let objects = 3
  /// How many writers write one name at the same time.
  package static let racers = 4

  /// Objects under unused names.
  package var created: Result<Void, LifeboatError>
  /// Other bytes under one of these names.
  package var createdAgain: Result<CreateOutcome, LifeboatError>
  /// What is then read under that name.
  package var content: Result<Content, LifeboatError>
  /// How many of several writers of one name were told that theirs was created.
  package var winners: Result<Int, LifeboatError>
  /// How many of the objects are in a complete listing.
  package var listed: Result<Int, LifeboatError>
  package var deleted: Result<Void, LifeboatError>
  package var listedAfterwards: Result<Int, LifeboatError>
  /// The store's clock minus this machine's, in milliseconds; nil: it has none.
  package var clockOffset: Result<Int64?, LifeboatError>
  /// Whether the store says so itself, once it was asked to create something.
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
