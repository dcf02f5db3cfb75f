import BackupFormat
import BackupTypes
import SystemIO
import SystemPackage

/// What a restore is doing, in its staging directory: after a crash the next run reads it and finishes
/// or begins anew. Replaced durably at each step.
struct RestoreJournal: Sendable, Equatable, Codable {
  static let directory = ".lifeboat-restore"
  static let name = "journal.json"
  /// Where the staged files lie, below `directory`.
  static let files = "files"

  enum Phase: String, Sendable, Codable {
    /// The target is as it was.
    case staging
    /// Everything is staged, verified and durable; names are being changed.
    case committing
  }

  var phase: Phase
  var point: String
  /// The top-level names to be moved aside, and where to; then those to be moved in, in order.
  var aside: String?
  var movedAside: [String]
  var movedIn: [String]
  var marker: Marker

  static func read(in data: OpenDirectory) throws -> RestoreJournal? {
    guard let staging = try data.openDirectory(directory), let file = try staging.open(name) else {
      return nil
    }
    return try RecordCoding.decode(
      RestoreJournal.self, from: try file.readAll(limit: 1 << 20), name: "\(directory)/\(name)")
  }

  func write(in data: OpenDirectory) throws {
    guard let staging = try data.openDirectory(RestoreJournal.directory) else {
      throw LifeboatError(.failure, "\(data.path)/\(RestoreJournal.directory) went away")
    }
    try DurableFile.replace(
      RestoreJournal.name, in: staging, bytes: try RecordCoding.encode(self), mode: 0o644)
  }

  /// Performs, or finishes, a commit. Idempotent: every step that was done is recognised by what is
  /// where, so it can be stopped at any instruction and run again. Renames only: one for each
  /// top-level name, the AOF directory, with its manifest inside, last.
  func commit(in data: OpenDirectory) throws {
    precondition(phase == .committing)
    guard let staging = try data.openDirectory(RestoreJournal.directory) else { return }
    let files = try staging.openDirectory(RestoreJournal.files)
    if let aside, !movedAside.isEmpty {
      try data.makeDirectory(aside, mode: 0o755)
      guard let asideDirectory = try data.openDirectory(aside) else {
        throw LifeboatError(.failure, "\(data.path)/\(aside) is not a directory")
      }
      for name in movedAside where try asideDirectory.status(of: name) == nil {
        // Nothing was moved in yet while something is still to be moved aside.
        if try data.status(of: name) != nil {
          try data.rename(name, to: asideDirectory, as: name, noReplace: true)
        }
      }
      try asideDirectory.synchronize()
      try data.synchronize()
    }
    for name in movedIn {
      guard let files, try files.status(of: name) != nil else { continue }
      try files.rename(name, to: data, as: name, noReplace: true)
      try data.synchronize()
    }
    try DurableFile.replace(
      Marker.name, in: data, bytes: try RecordCoding.encode(marker), mode: 0o644)
    try data.removeTree(RestoreJournal.directory)
    try data.synchronize()
  }
}
