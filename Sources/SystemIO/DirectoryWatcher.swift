package import BackupTypes
import CLinux
import Glibc
import Synchronization
package import SystemPackage

/// Tells that something changed in the data directory or the AOF directory, at nearly no cost.
///
/// One inotify instance, at most two watches, one thread that sleeps in poll(2). An event marks
/// work and does no work: everything that happens is folded into one set of `Changes`, handed over
/// at most once until `rearm()`. Between the two the thread does not even look at inotify, so the
/// caller decides how often it is woken under load; the kernel keeps, or gives up on, what comes
/// meanwhile, and then it says `.rescan`.
///
/// Events are a hint, never proof: nothing is said about network file systems' remote writers. Scan
/// after `watch` and by a timer.
package final class DirectoryWatcher: Sendable {
  package enum Role: Sendable, Hashable, CaseIterable { case data, appendOnlyDirectory }

  package struct Changes: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A name came, went or was replaced.
    package static let entries = Changes(rawValue: 1)
    /// A file's content changed, where modifications are watched and armed.
    package static let modification = Changes(rawValue: 2)
    /// Events were lost, or a watched directory itself was removed: look at everything, and `watch`
    /// again.
    package static let rescan = Changes(rawValue: 4)
  }

  private let events: EventSource
  private let thread: SystemThread

  /// - Parameters:
  ///   - prefix: events about names that begin so are dropped, modifications excepted.
  ///   - onChange: called on the watcher's thread, at most once until `rearm()`.
  /// - Throws: when the kernel has no inotify for us (ENOSYS, EMFILE): then poll.
  package init(
    ignoringNamesBeginning prefix: String? = nil,
    onChange: @escaping @Sendable (Changes) -> Void
  ) throws(LifeboatError) {
    let events = try EventSource(ignoredPrefix: prefix)
    self.events = events
    thread = try SystemThread(name: "watcher") { events.run(onChange) }
  }

  deinit { stop() }

  /// Watches a directory in this role, in place of the one watched so far.
  ///
  /// - Parameter watchModifications: also tell when content changes, armed from now on. After one
  ///   modification was seen, no more are until `armModification()`, so a server that writes all
  ///   the time costs one wakeup and not thousands.
  /// - Throws: also when the kernel has no watch left (ENOSPC): then poll.
  package func watch(
    _ path: FilePath, role: Role, watchModifications: Bool = false
  ) throws(LifeboatError) {
    try events.watch(path, role: role, modifications: watchModifications)
  }

  package func unwatch(_ role: Role) { events.unwatch(role) }

  /// Allows the next call of `onChange`.
  package func rearm() { events.signal { $0.isArmed = true } }

  /// Asks to be told of the next modification, in every directory watched with them. A directory
  /// that is gone by now shows as `.rescan`.
  package func armModification() { events.armModification() }

  /// Ends the thread; no `onChange` begins after this returns, unless it is called from one.
  package func stop() {
    let isFirst = events.signal { state in
      defer { state.isStopped = true }
      return !state.isStopped
    }
    if isFirst { thread.join() }
  }
}
