package import BackupTypes

/// What an auditor looks at: a data directory (`SourceLook`), or a simulated one. Used by one caller at a
/// time.
package protocol AuditedSource: Sendable {
  /// Looks once, and keeps open what a later look needs.
  mutating func sample() throws(LifeboatError) -> SourceSample
  /// The bytes of a file that a look saw, from `offset` on; nil if they can't be read.
  func read(_ file: SourceSample.File, from offset: UInt64, count: Int) -> [UInt8]?
}
