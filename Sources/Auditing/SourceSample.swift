package import BackupFormat
package import BackupTypes

/// What one look at the data directory, by its path, found. A value, and the only input on disk for the
/// audit.
package struct SourceSample: Sendable, Equatable {
  /// A file of the AOF, as found under its name.
  package struct File: Sendable, Equatable {
    package var name: String
    package var version: FileVersion
    /// It is an RDB without a key, as a server writes it at its first start.
    package var isKeyless: Bool
    package init(name: String, version: FileVersion, isKeyless: Bool = false) {
      self.name = name
      self.version = version
      self.isKeyless = isKeyless
    }
  }

  /// The AOF set that a server would load.
  package struct Log: Sendable, Equatable {
    package var base: File?
    /// In the order in which they are loaded. A legacy AOF is the one file.
    package var files: [File]
    package var manifestModified: FileMoment?
    package init(base: File?, files: [File], manifestModified: FileMoment?) {
      self.base = base
      self.files = files
      self.manifestModified = manifestModified
    }
    /// Whether it holds a byte. An AOF without a byte, as a server makes it at its first start, needs no
    /// backup.
    package var hasContent: Bool { base != nil || files.contains { $0.version.size > 0 } }
    var isVacant: Bool {
      base.map { $0.isKeyless || $0.version.size == 0 } ?? true
        && files.allSatisfy { $0.version.size == 0 || $0.isKeyless }
    }
  }

  package enum Line: Sendable, Equatable {
    case none
    /// There are parts of an AOF that no server could load now: a manifest that can't be parsed, or one
    /// that names a missing file.
    case unusable(String)
    case log(Log)

    package var log: Log? {
      if case .log(let log) = self { return log }
      return nil
    }
  }

  /// When the look began, by the monotonic clock, in milliseconds.
  package var at: Int64
  package var wall: Instant
  /// The directory that the path led to.
  package var root: FileIdentity
  package var line: Line
  package var dump: File?
  /// When the dump's file was made.
  package var dumpBorn: FileMoment?
  /// A file without a name in the directory grew: a server writes where no look by name can see it.
  package var outOfSight: String?
  /// A Redis file under a name that Lifeboat was not told about, if it matters here.
  package var foreign: String?

  package init(
    at: Int64, wall: Instant, root: FileIdentity, line: Line, dump: File?,
    dumpBorn: FileMoment? = nil, outOfSight: String? = nil, foreign: String? = nil
  ) {
    self.at = at
    self.wall = wall
    self.root = root
    self.line = line
    self.dump = dump
    self.dumpBorn = dumpBorn
    self.outOfSight = outOfSight
    self.foreign = foreign
  }

  /// Whether there is any file under the configured names.
  package var holdsFiles: Bool {
    if dump != nil { return true }
    switch line {
    case .none: return false
    // A single AOF of zero bytes is what Redis 6 makes at its first start.
    case .unusable, .log: return true
    }
  }

  /// Whether there is no data: no file, or only files that a server makes at its first start.
  package var isVacant: Bool {
    guard dump?.isKeyless ?? true else { return false }
    switch line {
    case .none: return true
    case .unusable: return false
    case .log(let log): return log.isVacant
    }
  }

  /// Whether both have the same files with the same bytes, regardless of the time of the look.
  func hasSameFiles(as other: SourceSample) -> Bool {
    root == other.root && line == other.line && dump == other.dump
  }
}
