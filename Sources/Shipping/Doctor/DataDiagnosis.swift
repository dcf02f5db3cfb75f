package import BackupTypes
package import HistoryLogic
import RepositoryAccess
import SystemIO
package import SystemPackage
import WriterLogic

/// The findings of `doctor` about a data directory: whether it can be watched, read and written, and what a
/// server would load from it.
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
          consequence: "there is nothing to back up, and nowhere to restore to")
      ]
    }
    return content() + cluster() + [readable(), writable(), space(), watch()]
  }

  private func cluster() -> [Finding] {
    guard let directory = try? OpenDirectory(path), let file = ClusterNode.file(in: directory)
    else { return [] }
    return [Finding(.data, "cluster", .note, ClusterNode.backup(file))]
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
          consequence: "it is not known what Redis would load, and nothing can be backed up")
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
          consequence: "its log is not backed up until it is",
          remedy:
            "if this lasts for more than a minute, run `redis-cli BGREWRITEAOF` while Redis is running; "
            + "`lifeboat inspect --data` shows the files")
      }
      if view.dump == nil, case .absent = view.aof {
        return Finding(
          .data, "readable", .note, "Redis has not written any of these files yet")
      }
      return Finding(.data, "readable", .ok, "Redis's files can be read")
    } catch {
      return Finding(.data, "readable", failed: error, consequence: "nothing can be backed up")
    }
  }

  private func writable() -> Finding {
    guard FileStatus.isWritable(path) else {
      return Finding(
        .data, "writable", .note, "read-only for this user: enough for ship, not for restore")
    }
    return Finding(.data, "writable", .ok, "restore can write here")
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
        consequence: "an AOF rewrite, a dump or a restore may run out of space",
        remedy: "enlarge the volume: Redis needs space for two copies of its data")
    } catch {
      return Finding(
        .data, "space", failed: error, consequence: "the free space is not known",
        verdict: .warning)
    }
  }

  private func watch() -> Finding {
    do {
      let space = try FileSystemSpace.at(path)
      guard !space.isNetworkOrFuse else {
        return Finding(
          .data, "inotify", .warning, "this is a network or FUSE file system",
          consequence: "changes may not cause events: they are found by polling",
          remedy: "nothing to do, if the lag of a poll (--ship-interval) is acceptable")
      }
      let watcher = try DirectoryWatcher { _ in }
      defer { watcher.stop() }
      try watcher.watch(path, role: .data)
      return Finding(.data, "inotify", .ok, "changes can be watched")
    } catch {
      return Finding(
        .data, "inotify", failed: error,
        consequence: "changes are found by polling, which uses more CPU",
        verdict: .warning)
    }
  }
}
