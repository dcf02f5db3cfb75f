package import BackupTypes
package import ObjectStorage

/// The results of a probe, in order. If a step fails, the others still run. So a read-only role is reported
/// as such, not as a store where nothing works.
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
  /// How many of several simultaneous creations of one name succeeded.
  package var winners: Result<Int, LifeboatError>
  /// How many of the objects are in a complete listing.
  package var listed: Result<Int, LifeboatError>
  package var deleted: Result<Void, LifeboatError>
  package var listedAfterwards: Result<Int, LifeboatError>
  /// The store's clock minus this machine's, in milliseconds; nil if the store has no clock.
  package var clockOffset: Result<Int64?, LifeboatError>
  /// Whether the store itself says that it creates only if absent. It knows that after its first creation.
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
