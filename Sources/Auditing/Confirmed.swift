package import BackupFormat

/// What the store has acknowledged of the newest restorable state. An audit knows nothing else of the
/// shipping path.
package struct Confirmed: Sendable, Equatable {
  package struct Base: Sendable, Equatable {
    package var name: String
    /// The versions of the file on disk that are known to hold the generation's bytes.
    package var versions: Set<FileVersion>
    package init(name: String, versions: Set<FileVersion>) {
      self.name = name
      self.versions = versions
    }
  }

  /// The chain that a restore would give; nil: there is none.
  package struct Chain: Sendable, Equatable {
    package var base: Base?
    /// Up to which offset each file of the chain is durable, without a gap from its start.
    package var files: [FileIdentity: UInt64]
    package init(base: Base?, files: [FileIdentity: UInt64]) {
      self.base = base
      self.files = files
    }
  }

  package var chain: Chain?
  /// A restore would give the dump; the log does not count.
  package var isDumpNewest = false
  /// The versions of the dump on disk that the newest state holds.
  package var dumps: Set<FileVersion>
  /// Files that the shipping path read and can't ship, with the reason.
  package var refused: [FileVersion: String]

  package init(
    chain: Chain? = nil, dumps: Set<FileVersion> = [], refused: [FileVersion: String] = [:]
  ) {
    self.chain = chain
    self.dumps = dumps
    self.refused = refused
  }
}
