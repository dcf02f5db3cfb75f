package import BackupLogic
package import BackupTypes
import SystemIO
package import SystemPackage

/// The findings of `doctor` on a data directory: whether it can be watched, read and written, and what
/// would load.
package struct DataDiagnosis: Sendable {
  private let path: FilePath
  private let names: ServerNames
  private let appendOnly: AppendOnly

  /// - Parameter appendOnly: the setting in Redis's configuration; unknown without it.
  package init(_ path: FilePath, names: ServerNames, appendOnly: AppendOnly = .unknown) {
    self.path = path
    self.names = names
    self.appendOnly = appendOnly
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
    return content() + [readable(), writable(), space(), watch()]
  }

  /// What a server that starts here would load, and the other files.
  private func content() -> [Finding] {
    do {
      var survey = DirectorySurvey(path, names: names)
      return DirectoryDiagnosis(try survey.run(), names: names, appendOnly: appendOnly).findings
    } catch {
      return [
        Finding(
          .data, "content", failed: error,
          consequence: "what Redis would load is not known, and can't be shipped")
      ]
    }
  }

  /// Whether every file that would be shipped can be opened.
  private func readable() -> Finding {
    do {
      let view = try Capture(path, names: names, time: SystemClock()).look()
      if case .unsettled(let reason) = view.aof {
        return Finding(
          .data, "readable", .warning, "the AOF is not complete: \(reason)",
          consequence: "its log is not shipped until it is",
          remedy:
            "if that does not end by itself in a minute: `redis-cli BGREWRITEAOF` while Redis "
            + "runs; `lifeboat inspect --data` shows the files")
      }
      if view.dump == nil, case .absent = view.aof {
        return Finding(
          .data, "readable", .note, "there is nothing yet of what Redis writes under these names")
      }
      return Finding(.data, "readable", .ok, "what Redis wrote can be read")
    } catch {
      return Finding(.data, "readable", failed: error, consequence: "nothing can be shipped")
    }
  }

  private func writable() -> Finding {
    guard FileStatus.isWritable(path) else {
      return Finding(
        .data, "writable", .note, "read-only for this user: enough for ship, not for restore")
    }
    return Finding(.data, "writable", .ok, "a restore can be made here")
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
