package import BackupFormat

/// What the store has acknowledged of the newest restorable state: the only thing that an audit knows of
/// the shipping path.
package struct Confirmed: Sendable, Equatable {
  package struct Base: Sendable, Equatable {
    package var name: String
    /// The versions of the file on disk that are known to have the bytes of the generation.
    package var versions: Set<FileVersion>
    package init(name: String, versions: Set<FileVersion>) {
      self.name = name
      self.versions = versions
    }
  }

  /// A chain that a restore would give; nil: there is none.
  package struct Chain: Sendable, Equatable {
    package var base: Base?
    /// How far each file of the chain is durable, without a gap from its start.
    package var files: [FileIdentity: UInt64]
    package init(base: Base?, files: [FileIdentity: UInt64]) {
      self.base = base
      self.files = files
    }
  }

  package var chain: Chain?
  /// A restore would give the dump, and the log counts for nothing.
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
