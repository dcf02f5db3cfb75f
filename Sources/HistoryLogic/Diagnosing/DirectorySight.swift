/// What `doctor` found in a data directory: what a server would load, each file read to its end as far as
/// the bound allows, and the other files.
package struct DirectorySight: Sendable, Equatable {
  /// A file that a server writes, under a name that is not configured.
  package struct Foreign: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
      /// It begins like an RDB file.
      case dump
      /// It begins like a log of commands.
      case log
      /// A manifest of an AOF, in this directory and for this `appendfilename`.
      case aof(directory: String, file: String)
    }
    package var kind: Kind
    /// Below the data directory.
    package var path: String
    /// Whether it is newer than all files under the configured names.
    package var isYounger: Bool

    package init(_ kind: Kind, path: String, isYounger: Bool) {
      self.kind = kind
      self.path = path
      self.isYounger = isYounger
    }
  }

  package var data = DataFacts()
  package var hasAppendDirectory = false
  /// `temp-*`: files that a server writes before it renames them.
  package var temporary: [String] = []
  package var foreign: [Foreign] = []
  /// The directory has more names than were read.
  package var hasMoreNames = false
  /// Bytes of files that a server would load but that were too large to be read to the end.
  package var unreadBytes: UInt64 = 0

  package init() {}

  /// There is no file under any configured name.
  package var isVacant: Bool {
    data.dump == .absent && data.legacy == .absent && data.manifest == .absent
      && data.files.isEmpty
  }
}
