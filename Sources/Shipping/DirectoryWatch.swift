import BackupTypes
import Logging
import SystemIO
import SystemPackage

/// Wakes the shipper when something changes, using inotify if the kernel provides it. Otherwise the caller
/// polls.
final class DirectoryWatch: SourceWatch {
  private let watcher: DirectoryWatcher?
  private let data: FilePath
  private let appendDirectory: FilePath
  private let logger: Logger

  init(
    data: FilePath, appendDirectory: FilePath, logger: Logger,
    onChange: @escaping @Sendable () -> Void
  ) {
    self.data = data
    self.appendDirectory = appendDirectory
    self.logger = logger
    do throws(LifeboatError) {
      if try FileSystemSpace.at(data).isNetworkOrFuse {
        logger.notice("this file system may not report changes: polling it")
      }
      let made = try DirectoryWatcher(ignoringNamesBeginning: "temp-") { _ in onChange() }
      try made.watch(data, role: .data, watchModifications: false)
      watcher = made
    } catch {
      logger.warning(
        "inotify does not work here: polling the volume", metadata: error.logged)
      watcher = nil
    }
  }

  var isWorking: Bool { watcher != nil }

  /// Looks for the AOF directory again and allows the next wake-up.
  func rearm() {
    // The AOF directory comes and goes. If a watch can't be made now, the poll covers it.
    try? watcher?.watch(data, role: .data, watchModifications: true)
    try? watcher?.watch(appendDirectory, role: .appendOnlyDirectory, watchModifications: true)
    watcher?.rearm()
  }

  /// Allows the next wake-up for a change of names, but not for appended bytes: the caller looks for those at
  /// an interval.
  func rearmForNames() { watcher?.rearm() }

  func stop() { watcher?.stop() }
}
