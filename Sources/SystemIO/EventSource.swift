import BackupTypes
import CLinux
import Glibc
import Synchronization
import SystemPackage

/// The inotify side of `DirectoryWatcher`: its descriptors, its watches, and the thread's loop.
final class EventSource: Sendable {
  typealias Role = DirectoryWatcher.Role
  typealias Changes = DirectoryWatcher.Changes

  struct Watch {
    var descriptor: Int32
    var path: FilePath
    /// Whether modifications are watched, and whether the kernel reports them now.
    var modifications: Bool
    var isModificationArmed: Bool
  }

  struct State {
    var watches: [Role: Watch] = [:]
    var pending: Changes = []
    var isArmed = true
    var isStopped = false
  }

  private static let names =
    UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM) | UInt32(IN_CREATE) | UInt32(IN_DELETE)
  private static let flags =
    UInt32(IN_ONLYDIR) | UInt32(IN_EXCL_UNLINK) | UInt32(IN_MOVE_SELF)

  private let inotify: OpenFile
  private let bell: OpenFile
  private let ignoredPrefix: [UInt8]?
  private let state = Mutex(State())

  init(ignoredPrefix: String?) throws(LifeboatError) {
    self.ignoredPrefix = ignoredPrefix.map { Array($0.utf8) }
    let hint = "changes are found by polling; see fs.inotify in /proc/sys"
    let inotify = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
    guard inotify >= 0 else {
      throw LifeboatError(.current, action: "use", object: "inotify").replacing(hint: hint)
    }
    self.inotify = OpenFile(descriptor: inotify, path: "inotify")
    let bell = clinux_eventfd()
    guard bell >= 0 else { throw LifeboatError(.current, action: "make", object: "an eventfd") }
    self.bell = OpenFile(descriptor: bell, path: "eventfd")
  }

  // MARK: From any thread

  func watch(_ path: FilePath, role: Role, modifications: Bool) throws(LifeboatError) {
    let failure: Errno? = state.withLock { state in
      switch add(path, modifications: modifications) {
      case .success(let descriptor):
        let former = state.watches.updateValue(
          Watch(
            descriptor: descriptor, path: path, modifications: modifications,
            isModificationArmed: modifications),
          forKey: role)
        if let former { release(former.descriptor, state) }
        return nil
      case .failure(let number):
        return number
      }
    }
    guard let failure else { return }
    var error = LifeboatError(failure, action: "watch", path: path)
    if failure == .noSpace {
      // Here ENOSPC does not mean that the disk is full: inotify_add_watch(2).
      error.code = .failure
      error.hint = "changes are found by polling; raise fs.inotify.max_user_watches"
    }
    throw error
  }

  func unwatch(_ role: Role) {
    state.withLock { state in
      if let watch = state.watches.removeValue(forKey: role) { release(watch.descriptor, state) }
    }
  }

  func armModification() {
    let isLost = state.withLock { state in
      var isLost = false
      for role in Role.allCases {
        guard let watch = state.watches[role], watch.modifications, !watch.isModificationArmed
        else { continue }
        isLost = !setMask(role, modifications: true, &state) || isLost
      }
      return isLost
    }
    if isLost { signal { $0.pending.insert(.rescan) } }
  }

  /// Changes the state and wakes the thread.
  @discardableResult
  func signal<Value: Sendable>(_ change: (inout State) -> Value) -> Value {
    let value = state.withLock { change(&$0) }
    var one: UInt64 = 1
    // EAGAIN: the counter of the eventfd is at its maximum, so the thread is being woken anyway.
    _ = retryingInterrupts { write(bell.descriptor, &one, 8) }
    return value
  }

  // MARK: The thread

  func run(_ onChange: @Sendable (Changes) -> Void) {
    while true {
      let (isArmed, isStopped, delivery) = state.withLock { state -> (Bool, Bool, Changes) in
        guard state.isArmed, !state.isStopped, !state.pending.isEmpty else {
          return (state.isArmed, state.isStopped, [])
        }
        let pending = state.pending
        state.pending = []
        state.isArmed = false
        return (false, false, pending)
      }
      if isStopped { return }
      if !delivery.isEmpty {
        onChange(delivery)
        continue
      }
      wait(withEvents: isArmed)
    }
  }

  /// Sleeps until the bell rings or, if armed, an event arrives. Then reads the events.
  private func wait(withEvents isArmed: Bool) {
    var descriptors = [
      pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
      // poll(2) ignores a negative descriptor.
      pollfd(fd: isArmed ? inotify.descriptor : -1, events: Int16(POLLIN), revents: 0),
    ]
    guard case .success = retryingInterrupts({ poll(&descriptors, 2, -1) }) else { return }
    if descriptors[0].revents != 0 {
      var count: UInt64 = 0
      _ = retryingInterrupts { read(bell.descriptor, &count, 8) }
    }
    if descriptors[1].revents != 0 { drain() }
  }

  private func drain() {
    withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 8) { buffer in
      while case .success(let count) = retryingInterrupts({
        read(inotify.descriptor, buffer.baseAddress!, buffer.count)
      }), count > 0 {
        state.withLock { fold(UnsafeRawBufferPointer(rebasing: buffer[..<count]), &$0) }
      }
    }
  }

  /// Events are a header of 16 bytes (wd, mask, cookie, length of the name) and the name.
  private func fold(_ bytes: UnsafeRawBufferPointer, _ state: inout State) {
    var offset = 0
    while offset + 16 <= bytes.count {
      let descriptor = bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self)
      let mask = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
      let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
      let end = min(offset + 16 + length, bytes.count)
      fold(mask, of: descriptor, name: bytes[offset + 16..<end], &state)
      offset = end
    }
  }

  private func fold(
    _ mask: UInt32, of descriptor: Int32, name: Slice<UnsafeRawBufferPointer>,
    _ state: inout State
  ) {
    if mask & UInt32(IN_Q_OVERFLOW) != 0 {
      state.pending.insert(.rescan)
      return
    }
    // Events of a removed watch, including its own IN_IGNORED, are ignored.
    let roles = state.watches.filter { $0.value.descriptor == descriptor }.keys
    guard !roles.isEmpty else { return }
    if mask & UInt32(IN_IGNORED) != 0 {
      for role in roles { state.watches[role] = nil }
      state.pending.insert(.rescan)
      return
    }
    if mask & (UInt32(IN_MOVE_SELF) | UInt32(IN_UNMOUNT)) != 0 { state.pending.insert(.rescan) }
    if mask & UInt32(IN_MODIFY) != 0 {
      state.pending.insert(.modification)
      for role in roles where !setMask(role, modifications: false, &state) {
        state.pending.insert(.rescan)
      }
    }
    if mask & EventSource.names != 0 {
      if let ignoredPrefix, name.starts(with: ignoredPrefix) { return }
      state.pending.insert(.entries)
    }
  }

  // MARK: Watches

  private func add(_ path: FilePath, modifications: Bool) -> Result<Int32, Errno> {
    let mask =
      EventSource.names | EventSource.flags | (modifications ? UInt32(IN_MODIFY) : 0)
    return path.withPlatformString { name in
      retryingInterrupts { inotify_add_watch(inotify.descriptor, name, mask) }
    }
  }

  /// Replaces the mask of a watch. False if its path no longer leads to the watched directory.
  private func setMask(_ role: Role, modifications: Bool, _ state: inout State) -> Bool {
    guard var watch = state.watches[role] else { return true }
    guard case .success(let descriptor) = add(watch.path, modifications: modifications) else {
      return false
    }
    let isSame = descriptor == watch.descriptor
    let former = watch.descriptor
    watch.descriptor = descriptor
    watch.isModificationArmed = modifications
    state.watches[role] = watch
    if !isSame { release(former, state) }
    return isSame
  }

  /// Removes a watch that no role uses any more. The kernel may already have removed it, so the result is
  /// ignored.
  private func release(_ descriptor: Int32, _ state: State) {
    if state.watches.values.contains(where: { $0.descriptor == descriptor }) { return }
    _ = inotify_rm_watch(inotify.descriptor, descriptor)
  }
}

extension LifeboatError {
  fileprivate func replacing(hint: String) -> LifeboatError {
    var copy = self
    copy.hint = hint
    return copy
  }
}
