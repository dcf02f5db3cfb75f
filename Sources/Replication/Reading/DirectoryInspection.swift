package import BackupFormat
package import BackupLogic
import BackupTypes
import RedisFormats
import SystemIO
package import SystemPackage

/// What `inspect --data` shows: what a directory holds, and whether a server would load it.
package struct DirectoryInspection: Sendable, Encodable {
  package struct File: Sendable, Encodable {
    package var path: String
    package var bytes: UInt64
    package var role: String
    package var verdict: String
    package var commands: UInt64?
    package var dataset: DatasetRecord?
    package var destructive: [String]
    package var isBroken: Bool
  }

  package var directory: String
  /// What a server with `appendonly yes`, and one with `no`, would do: load it, start empty, refuse.
  package var withAppendonlyYes: String
  package var withAppendonlyNo: String
  package var files: [File]
  package var isSound: Bool

  package static func make(_ path: FilePath, names: ServerNames) throws -> DirectoryInspection {
    let directory = try OpenDirectory(path)
    let facts = try DirectoryLook(path, names: names).facts()
    var files: [File] = []
    if let dump = try directory.open(names.dump) {
      files.append(try inspect(dump, names.dump, .dump))
    }
    if let legacy = try directory.open(names.appendFile) {
      files.append(try inspect(legacy, names.appendFile, .legacy))
    }
    if case .valid(let manifest) = facts.manifest,
      let inner = try directory.openDirectory(names.appendDirectory)
    {
      let entries = manifest.entries.filter { $0.kind != .history }
      for (position, entry) in entries.enumerated() {
        guard let file = try inner.open(entry.file) else { continue }
        let path = names.appendDirectory + "/" + entry.file
        files.append(
          try inspect(
            file, path, entry.kind == .base ? .base : .increment,
            isLast: position == entries.count - 1))
      }
    }
    let yes = DataVerdict.judge(facts, appendOnly: .yes)
    let no = DataVerdict.judge(facts, appendOnly: .no)
    var isSound = !files.contains { $0.isBroken }
    if case .broken = DataVerdict.judge(facts, appendOnly: .unknown) { isSound = false }
    return DirectoryInspection(
      directory: path.string, withAppendonlyYes: describe(yes), withAppendonlyNo: describe(no),
      files: files, isSound: isSound)
  }

  private static func describe(_ verdict: DataVerdict) -> String {
    switch verdict {
    case .empty: "starts empty: there is nothing to load"
    case .data(let what): "loads \(what)"
    case .broken(let reason, let remedy): "\(reason). What to do: \(remedy)"
    }
  }

  private enum Role: String { case dump, base, increment, legacy }

  private static func inspect(
    _ file: OpenFile, _ path: String, _ role: Role, isLast: Bool = true
  ) throws -> File {
    let size = try file.status().size
    var result = File(
      path: path, bytes: size, role: role.rawValue, verdict: "good", commands: nil, dataset: nil,
      destructive: [], isBroken: false)
    guard size > 0 else {
      result.verdict = "empty"
      return result
    }
    if role == .dump || role == .base {
      var check = GenerationCheck(kind: role == .dump ? .dump : .base)
      try file.forEachChunk(from: 0, to: size) {
        check.consume($0)
        return true
      }
      let (verdict, summary) = check.finish()
      result.dataset = summary.map { DatasetRecord($0) }
      switch verdict {
      case .good(let remark): result.verdict = "good" + (remark.map { ", but \($0)" } ?? "")
      case .unverified(let reason): result.verdict = "unverified: \(reason)"
      case .broken(let reason): (result.verdict, result.isBroken) = ("broken: \(reason)", true)
      }
      return result
    }
    try inspectLog(file, size, isLast: isLast, &result)
    return result
  }

  private static func inspectLog(
    _ file: OpenFile, _ size: UInt64, isLast: Bool, _ result: inout File
  ) throws {
    var scanner = AOFScanner()
    var drops: [String] = []
    try file.forEachChunk(from: 0, to: size) { chunk in
      scanner.consume(chunk)
      for finding in scanner.takeFindings() {
        if case .destructive(let name) = finding.kind, drops.count < 100 {
          drops.append("\(name) at offset \(finding.start)")
        }
      }
      return scanner.fault == nil
    }
    result.destructive = drops
    result.commands = scanner.commands
    result.dataset = scanner.preamble.map { DatasetRecord($0) }
    if let fault = scanner.fault {
      (result.verdict, result.isBroken) = (
        "broken: \(fault.reason) at offset \(fault.offset)", true
      )
    } else if scanner.boundary < size {
      let tail = "\(size - scanner.boundary) bytes of an unfinished command at its end"
      result.isBroken = !isLast
      result.verdict = isLast ? "good, with \(tail), which a server cuts off" : "broken: \(tail)"
    }
  }

  package var text: String {
    var text = "\(directory)\n  a server with appendonly yes: \(withAppendonlyYes)\n"
    text += "  a server with appendonly no:  \(withAppendonlyNo)\n"
    for file in files {
      text += "\(file.path)  \(humanBytes(file.bytes))  \(file.verdict)"
      if let commands = file.commands { text += ", \(commands) commands" }
      text += "\n"
      if let dataset = file.dataset { text += dataset.text }
      for drop in file.destructive { text += "  \(drop)\n" }
    }
    return text
  }
}
