/// What `doctor` saw of a data directory: what a server would load, each file read through as far as the
/// bound allows, and what lies beside it.
package struct DirectorySight: Sendable, Equatable {
  /// A file that a server writes, under a name that it was not said to use.
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
    /// Than everything that stands under the names that were told.
    package var isYounger: Bool

    package init(_ kind: Kind, path: String, isYounger: Bool) {
      self.kind = kind
      self.path = path
      self.isYounger = isYounger
    }
  }

  package var data = DataFacts()
  package var hasAppendDirectory = false
  /// `temp-*`: what a server writes before it renames it.
  package var temporary: [String] = []
  package var foreign: [Foreign] = []
  /// The directory has more names than were looked at.
  package var hasMoreNames = false
  /// Of files that a server would load, and that were too large to be read through.
  package var unreadBytes: UInt64 = 0

  package init() {}

  /// Nothing stands under any name that the server was said to use.
  package var isVacant: Bool {
    data.dump == .absent && data.legacy == .absent && data.manifest == .absent
      && data.files.isEmpty
  }
}
