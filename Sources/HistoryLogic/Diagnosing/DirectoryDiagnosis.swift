package import BackupTypes

/// What `doctor` reports about a data directory. Pure.
package struct DirectoryDiagnosis: Sendable {
  /// At most this many files under other names get a line each.
  package static let foreignMax = 5

  private let sight: DirectorySight
  private let names: ServerNames
  /// The setting in Redis's configuration; unknown without it.
  private let setting: AppendOnly

  package init(_ sight: DirectorySight, names: ServerNames, appendOnly: AppendOnly) {
    self.sight = sight
    self.names = names
    setting = appendOnly
  }

  package var findings: [Finding] {
    [content] + appendDirectory + leftovers + foreign + bounds
  }

  // MARK: What a server would load

  private func start(_ appendOnly: Bool) -> ServerStart {
    .judge(sight.data, names: names, appendOnly: appendOnly)
  }

  private var content: Finding {
    switch setting {
    case .yes: content(of: start(true), "yes")
    case .no: content(of: start(false), "no")
    case .unknown: contentOfBoth
    }
  }

  private func content(of start: ServerStart, _ setting: String) -> Finding {
    let words = "with appendonly \(setting), as configured, Redis \(start.words)"
    switch start {
    case .loads: return Finding(.data, "content", .ok, words)
    case .startsEmpty(nil): return Finding(.data, "content", .note, words)
    case .startsEmpty:
      return Finding(
        .data, "content", .failed, words,
        consequence: "after a restart, Redis and its backups would lack that data",
        remedy:
          "start it with appendonly \(setting == "yes" ? "no" : "yes"), then change the setting "
          + "with CONFIG SET while it runs", code: .corrupt)
    case .refuses(_, let remedy):
      return Finding(
        .data, "content", .failed, words, consequence: "Redis will not start again after a restart",
        remedy: remedy, code: .corrupt)
    }
  }

  private var contentOfBoth: Finding {
    let (yes, no) = (start(true), start(false))
    let words = "with appendonly yes Redis \(yes.words); with appendonly no it \(no.words)"
    switch (yes, no) {
    case (.loads, .loads): return Finding(.data, "content", .ok, words)
    case (.startsEmpty(nil), .startsEmpty(nil)): return Finding(.data, "content", .note, words)
    case (.loads, .refuses(_, let remedy)):
      return Finding(
        .data, "content", .warning, words,
        consequence: "Redis with appendonly no would not start again after a restart",
        remedy: remedy)
    case (.refuses(_, let remedy), _):
      return Finding(
        .data, "content", .failed, words,
        consequence: "Redis with appendonly yes will not start again after a restart",
        remedy: remedy, code: .corrupt)
    case (_, .refuses(_, let remedy)):
      return Finding(
        .data, "content", .failed, words,
        consequence: "Redis with appendonly no will not start again after a restart",
        remedy: remedy, code: .corrupt)
    case (.startsEmpty, .startsEmpty):
      return Finding(
        .data, "content", .failed, words,
        consequence: "the data can't be loaded with either setting",
        remedy:
          "while Redis is running, `redis-cli BGREWRITEAOF` or `redis-cli BGSAVE` writes it again; "
          + "otherwise restore with --replace, which moves it aside", code: .corrupt)
    default:
      return Finding(
        .data, "content", .warning, words,
        consequence: "with the wrong setting, Redis starts without data, or with old data",
        remedy: "keep appendonly as it was when these files were written; never change it by a "
          + "restart. Pass --redis-conf to check the configured setting")
    }
  }

  // MARK: The AOF directory

  private var appendDirectory: [Finding] {
    guard sight.data.manifest == .absent, setting != .no else { return [] }
    let directory = printable(names.appendDirectory)
    if let strays = ServerStart.strays(sight.data, names) {
      return [
        Finding(
          .data, "aof-directory", .failed, "there is \(strays)",
          consequence:
            "Redis with appendonly yes ignores it at its next start, and may replay it over newer "
            + "data at the start after that",
          remedy:
            "while Redis is running, `redis-cli BGREWRITEAOF` writes a complete AOF; otherwise restore "
            + "with --replace, which moves it aside", code: .corrupt)
      ]
    }
    guard sight.data.legacy == .absent || sight.data.legacy == .empty else { return [] }
    if sight.hasAppendDirectory {
      return [
        Finding(
          .data, "aof-directory", .warning,
          "\(directory) holds no \(printable(names.manifest))",
          consequence: "no log is backed up, and Redis with appendonly yes would start empty",
          remedy:
            "while Redis runs with appendonly yes, `redis-cli BGREWRITEAOF` writes it; if the AOF "
            + "was just enabled, wait for its first rewrite")
      ]
    }
    guard setting == .yes else { return [] }
    if sight.isVacant, sight.temporary.isEmpty, sight.foreign.isEmpty {
      return [
        Finding(
          .data, "aof-directory", .note,
          "there is no \(directory) yet: Redis creates it at its first start")
      ]
    }
    return [
      Finding(
        .data, "aof-directory", .warning,
        "there is no \(directory), and appendonly is yes",
        consequence: "no log is backed up, and Redis would start empty",
        remedy:
          "if Redis is running, its AOF was removed or renamed: `redis-cli BGREWRITEAOF` writes a new "
          + "one; otherwise restore. If the directory has another name, pass --appenddirname")
    ]
  }

  private var leftovers: [Finding] {
    guard sight.isVacant, let first = sight.temporary.first else { return [] }
    return [
      Finding(
        .data, "leftovers", .warning,
        "there is neither \(printable(names.dump)) nor an AOF, but \(printable(first))"
          + (sight.temporary.count == 1
            ? "" : " and " + counted(sight.temporary.count - 1, "more such file")),
        consequence:
          "a server has written here, but its data files are missing, or it never finished one",
        remedy:
          "if Redis is running, `redis-cli BGSAVE` or `redis-cli BGREWRITEAOF` writes its data again; "
          + "otherwise restore")
    ]
  }

  // MARK: Other names

  private var foreign: [Finding] {
    var findings = sight.foreign.prefix(DirectoryDiagnosis.foreignMax).map(finding)
    let left = sight.foreign.count - findings.count
    if left > 0 {
      findings.append(
        Finding(
          .data, "names", .note,
          counted(left, "more file does", "more files do")
            + " not have one of the configured file names"))
    }
    return findings
  }

  private func finding(_ foreign: DirectorySight.Foreign) -> Finding {
    let (what, told, flags) = describe(foreign)
    let detail =
      "\(printable(foreign.path)) is \(what), but not under one of the configured file names"
    if sight.isVacant {
      return Finding(
        .data, "names", .failed, detail + "; there is no \(told)",
        consequence: "it is not backed up, and a restore would use other file names",
        remedy: "if Redis writes it, pass \(flags)")
    }
    guard foreign.isYounger else {
      return Finding(
        .data, "names", .note,
        detail + "; it is older than the files that do, and is not backed up")
    }
    return Finding(
      .data, "names", .warning, detail + "; it is newer than the files that do",
      consequence: "if Redis writes it, only old files are backed up",
      remedy: "if Redis writes it, pass \(flags); otherwise move it elsewhere")
  }

  private func describe(
    _ foreign: DirectorySight.Foreign
  ) -> (what: String, told: String, flags: String) {
    switch foreign.kind {
    case .dump:
      return ("an RDB file", printable(names.dump), "--dbfilename \(printable(foreign.path))")
    case .log:
      return (
        "a log of commands", printable(names.appendFile),
        "--appendfilename \(printable(foreign.path))"
      )
    case .aof(let directory, let file):
      var flags: [String] = []
      if directory != names.appendDirectory {
        flags.append("--appenddirname \(printable(directory))")
      }
      if file != names.appendFile { flags.append("--appendfilename \(printable(file))") }
      return (
        "the manifest of an AOF", printable(names.appendDirectory + "/" + names.manifest),
        flags.joined(separator: " ")
      )
    }
  }

  // MARK: What was left out

  private var bounds: [Finding] {
    var findings: [Finding] = []
    if sight.unreadBytes > 0 {
      findings.append(
        Finding(
          .data, "unread", .note,
          "\(humanBytes(sight.unreadBytes)) of the files that Redis would load were too large to be read "
            + "in full here; `lifeboat inspect --data` reads everything"))
    }
    if sight.hasMoreNames {
      findings.append(
        Finding(.data, "unread", .note, "the directory has more files than are checked here"))
    }
    return findings
  }
}
