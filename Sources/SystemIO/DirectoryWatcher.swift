package import BackupTypes
import CLinux
import Glibc
import Synchronization
package import SystemPackage

/// Reports that something has changed in the data directory or the AOF directory, at almost no cost.
///
/// It has one inotify instance, at most two watches, and one thread that sleeps in poll(2). Events are only
/// merged into one set of `Changes`, which is delivered at most once until `rearm()`. Between delivery and
/// `rearm()` the thread does not read inotify, so the caller decides how often it is woken under load.
/// Meanwhile the kernel queues events. If its queue overflows, the result is `.rescan`.
///
/// Events are only hints: a network file system sends none for changes made on another machine. So also scan
/// after `watch`, and at intervals.
package final class DirectoryWatcher: Sendable {
  package enum Role: Sendable, Hashable, CaseIterable { case data, appendOnlyDirectory }

  package struct Changes: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A name was added, removed or replaced.
    package static let entries = Changes(rawValue: 1)
    /// A file's content was changed, if modifications are watched and armed.
    package static let modification = Changes(rawValue: 2)
    /// Events were lost, or a watched directory itself was removed. Scan everything, and `watch` again.
    package static let rescan = Changes(rawValue: 4)
  }

  private let events: EventSource
  private let thread: SystemThread

  /// - Parameters:
  ///   - prefix: events about names with this prefix are dropped, except modifications.
  ///   - onChange: called on the watcher's thread, at most once until `rearm()`.
  /// - Throws: if inotify is not available (ENOSYS, EMFILE). Then poll.
  package init(
    ignoringNamesBeginning prefix: String? = nil,
    onChange: @escaping @Sendable (Changes) -> Void
  ) throws(LifeboatError) {
    let events = try EventSource(ignoredPrefix: prefix)
    self.events = events
    thread = try SystemThread(name: "watcher") { events.run(onChange) }
  }

  deinit { stop() }

  /// Watches a directory in this role, instead of the previous one.
  ///
  /// - Parameter watchModifications: whether to also report changes of content, armed from now on. After one
  ///   modification, no more are reported until `armModification()`, so a server that writes all the time
  ///   causes one wake-up and not thousands.
  /// - Throws: also if the kernel has no watch left (ENOSPC). Then poll.
  package func watch(
    _ path: FilePath, role: Role, watchModifications: Bool = false
  ) throws(LifeboatError) {
    try events.watch(path, role: role, modifications: watchModifications)
  }

  package func unwatch(_ role: Role) { events.unwatch(role) }

  /// Allows the next call of `onChange`.
  package func rearm() { events.signal { $0.isArmed = true } }

  /// Requests a report of the next modification in every directory that is watched for them. A directory that
  /// has been removed gives `.rescan`.
  package func armModification() { events.armModification() }

  /// Ends the thread. After this returns, no `onChange` starts, unless this is called from an `onChange`.
  package func stop() {
    let isFirst = events.signal { state in
      defer { state.isStopped = true }
      return !state.isStopped
    }
    if isFirst { thread.join() }
  }
}
