package import BackupFormat
package import BackupTypes
package import HistoryLogic
import RedisFormats
import RepositoryAccess
import SystemIO
package import SystemPackage

/// The output of `inspect --data`: what a directory holds, and whether a server would load it.
package struct DirectoryInspection: Sendable, Encodable {
  package struct File: Sendable, Encodable {
    package var path: String
    package var bytes: UInt64
    package var role: String
    package var verdict: String
    package var commands: UInt64?
    package var dataset: DatasetRecord?
    /// The counts of the full copy that the file is, or begins with.
    package var keys: KeyReport?
    package var destructive: [String]
    package var isBroken: Bool
  }

  package var directory: String
  /// What servers with `appendonly yes` and `appendonly no` would do: load the data, start empty, or refuse
  /// to start.
  package var withAppendonlyYes: String
  package var withAppendonlyNo: String
  package var files: [File]
  /// The Ray clusters in the AOF or, if there is none, in the dump; absent if it can't be read to its end.
  package var ray: [RayNamespace]?
  /// What to know about a node of a cluster. Absent if the files do not show that it is one.
  package var cluster: String?
  package var isSound: Bool

  /// - Parameter progress: called with the bytes that were read, of all files.
  package static func make(
    _ path: FilePath, names: ServerNames,
    progress: @escaping @Sendable (_ done: UInt64, _ of: UInt64) -> Void = { _, _ in }
  ) throws -> DirectoryInspection {
    let directory = try OpenDirectory(path, followsLinks: true)
    var facts = try DirectoryLook(path, names: names).facts()
    var found: [Found] = []
    if let dump = try directory.open(names.dump) { found.append(Found(dump, names.dump, .dump)) }
    if let legacy = try directory.open(names.appendFile) {
      found.append(Found(legacy, names.appendFile, .legacy))
    }
    if case .valid(let manifest) = facts.manifest,
      let inner = try directory.openDirectory(names.appendDirectory)
    {
      let entries = manifest.entries.filter { $0.kind != .history }
      for (position, entry) in entries.enumerated() {
        guard let file = try inner.open(entry.file) else { continue }
        found.append(
          Found(
            file, names.appendDirectory + "/" + entry.file,
            entry.kind == .base ? .base : .increment, isLast: position == entries.count - 1))
      }
    }
    let total = try found.reduce(0) { $0 + (try $1.file.status().size) }
    let counter = ProgressCounter(total: total, report: progress)
    // Each is a separate dataset: a dump, a legacy AOF, and what the manifest names.
    var files: [File] = []
    var ray: [RayNamespace]?
    var hasSlots = false
    for roles in [[FileReadings.Role.dump], [.legacy], [.base, .increment]] {
      let those = found.filter { roles.contains($0.role) }
      guard !those.isEmpty else { continue }
      var readings = FileReadings(counter)
      for one in those { try readings.read(one.file, one.path, one.role, isLast: one.isLast) }
      readings.finish()
      hasSlots = hasSlots || readings.hasSlots
      files += readings.files
      ray = readings.ray?.namespaces
    }
    counter.finish()
    // A file that was read to its end may differ from what its first key suggested.
    for (file, read) in zip(found, files) where read.isBroken {
      let fault = DataFacts.Content.broken(
        read.verdict.replacing("broken: ", with: "", maxReplacements: 1))
      switch file.role {
      case .dump: facts.dump = fault
      case .legacy: facts.legacy = fault
      case .base, .increment:
        if let name = file.file.path.lastComponent { facts.files[name.string] = fault }
      }
    }
    let yes = DataVerdict.judge(facts, appendOnly: .yes)
    let no = DataVerdict.judge(facts, appendOnly: .no)
    var isSound = !files.contains { $0.isBroken }
    if case .broken = DataVerdict.judge(facts, appendOnly: .unknown) { isSound = false }
    return DirectoryInspection(
      directory: path.string, withAppendonlyYes: describe(yes), withAppendonlyNo: describe(no),
      files: files, ray: ray,
      cluster: ClusterNode.words(file: ClusterNode.file(in: directory), hasSlots: hasSlots),
      isSound: isSound)
  }

  private struct Found {
    var file: OpenFile
    var path: String
    var role: FileReadings.Role
    var isLast = true
    init(_ file: OpenFile, _ path: String, _ role: FileReadings.Role, isLast: Bool = true) {
      (self.file, self.path, self.role, self.isLast) = (file, path, role, isLast)
    }
  }

  private static func describe(_ verdict: DataVerdict) -> String {
    switch verdict {
    case .empty: "starts empty: there is nothing to load"
    case .data(let what): "loads \(what)"
    case .broken(let reason, let remedy): "\(reason). What to do: \(remedy)"
    }
  }

  package var text: String {
    var text = "\(directory)\n  a server with appendonly yes: \(withAppendonlyYes)\n"
    text += "  a server with appendonly no:  \(withAppendonlyNo)\n"
    for file in files {
      text += "\(printable(file.path))  \(humanBytes(file.bytes))  \(file.verdict)"
      if let commands = file.commands { text += ", \(counted(commands, "command"))" }
      text += "\n"
      if let dataset = file.dataset { text += dataset.text }
      text += file.keys?.text ?? ""
      for drop in file.destructive { text += "  \(drop)\n" }
    }
    if let cluster { text += "cluster: \(cluster)\n" }
    return text + (ray?.text("here") ?? "")
  }
}
