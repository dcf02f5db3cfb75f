import BackupLogic
package import BackupTypes
import SystemIO
package import SystemPackage

/// What `doctor` says of a data directory: can it be watched, read, written, and what would load there.
package struct DataDiagnosis: Sendable {
  private let path: FilePath
  private let names: ServerNames

  package init(_ path: FilePath, names: ServerNames) {
    self.path = path
    self.names = names
  }

  package func findings() -> [Finding] {
    do {
      _ = try OpenDirectory(path)
    } catch {
      return [
        Finding(
          .data, "directory", failed: error,
          consequence: "there is nothing to ship, or to restore to")
      ]
    }
    return [content(), readable(), writable(), space(), watch()]
  }

  /// What a server that starts here would load.
  private func content() -> Finding {
    do {
      let facts = try DirectoryLook(path, names: names).facts()
      let verdicts = [AppendOnly.yes, .no].map { DataVerdict.judge(facts, appendOnly: $0) }
      if case .broken(let reason, let remedy) = DataVerdict.judge(facts, appendOnly: .unknown) {
        return Finding(
          .data, "content", .failed, reason,
          consequence: "Redis would not load it, or start empty", remedy: remedy, code: .corrupt)
      }
      let words = zip(["yes", "no"], verdicts).map { setting, verdict in
        "with appendonly \(setting) Redis \(describe(verdict))"
      }
      guard verdicts.allSatisfy({ $0 == .empty }) || verdicts.allSatisfy(isData) else {
        return Finding(
          .data, "content", .warning, words.joined(separator: "; "),
          consequence: "the wrong setting starts without data, or with old data",
          remedy: "keep appendonly as it was when this was written; never switch it by a restart")
      }
      return Finding(.data, "content", .ok, words.joined(separator: "; "))
    } catch {
      return Finding(.data, "content", failed: error, consequence: "it can't be shipped")
    }
  }

  private func isData(_ verdict: DataVerdict) -> Bool {
    if case .data = verdict { true } else { false }
  }

  private func describe(_ verdict: DataVerdict) -> String {
    switch verdict {
    case .empty: "starts empty"
    case .data(let what): "loads \(what)"
    case .broken(let reason, _): "can't start: \(reason)"
    }
  }

  /// Whether every file that would be shipped can be opened.
  private func readable() -> Finding {
    do {
      let view = try Capture(path, names: names).observe(SystemClock.now)
      if case .unsettled(let reason) = view.aof {
        return Finding(
          .data, "readable", .warning, "the AOF is not complete: \(reason)",
          consequence: "its log is not shipped until it is",
          remedy: "a moment later it should be; else see `lifeboat inspect --data \(path)`")
      }
      return Finding(.data, "readable", .ok, "what Redis wrote can be read")
    } catch {
      return Finding(
        .data, "readable", failed: error,
        consequence: "nothing can be shipped; run ship with Redis's user id or group")
    }
  }

  private func writable() -> Finding {
    guard FileStatus.isWritable(path) else {
      return Finding(
        .data, "writable", .ok, "read-only for this user: enough for ship, not for restore")
    }
    return Finding(.data, "writable", .ok, "writable: a restore can be made here")
  }

  private func space() -> Finding {
    do {
      let space = try FileSystemSpace.at(path)
      let free = "\(humanBytes(space.freeBytes)) of \(humanBytes(space.totalBytes)) are free"
      guard space.freeBytes < space.totalBytes / 10 else {
        return Finding(.data, "space", .ok, free)
      }
      return Finding(
        .data, "space", .warning, free,
        consequence: "a rewrite or a dump of Redis, or a restore, may find no room",
        remedy: "enlarge the volume: Redis needs room for two copies of its data")
    } catch {
      return Finding(
        .data, "space", failed: error, consequence: "whether there is room is not known",
        verdict: .warning)
    }
  }

  private func watch() -> Finding {
    do {
      let space = try FileSystemSpace.at(path)
      guard !space.isNetworkOrFuse else {
        return Finding(
          .data, "inotify", .warning, "this is a network or FUSE file system",
          consequence: "changes may come without an event: they are found by polling instead",
          remedy: "nothing, where the lag of a poll (--ship-interval) is enough")
      }
      let watcher = try DirectoryWatcher { _ in }
      defer { watcher.stop() }
      try watcher.watch(path, role: .data)
      return Finding(.data, "inotify", .ok, "changes can be watched")
    } catch {
      return Finding(
        .data, "inotify", failed: error,
        consequence: "changes are found by polling instead, which costs wake-ups",
        verdict: .warning)
    }
  }
}
