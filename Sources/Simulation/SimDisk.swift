import Glibc

/// Volumes with inodes, names, links and times, in memory. Its calls answer like Linux: a result, or a
/// negative errno.
final class SimDisk {
  final class Inode {
    let number: UInt64
    let volume: Volume
    let isDirectory: Bool
    var bytes: [UInt8] = []
    var entries: [String: Inode] = [:]
    var links: UInt64 = 1
    var mode: UInt32
    /// Nanoseconds since 1970, by the simulated wall clock.
    var modified, changed: Int64
    let born: Int64

    fileprivate init(_ volume: Volume, isDirectory: Bool, mode: UInt32, at now: Int64) {
      volume.inodes += 1
      number = volume.inodes
      self.volume = volume
      self.isDirectory = isDirectory
      self.mode = mode
      (modified, changed, born) = (now, now, now)
    }
  }

  final class Volume {
    let device: UInt64
    fileprivate(set) var inodes: UInt64 = 1
    fileprivate init(device: UInt64) { self.device = device }
  }

  private struct Handle {
    var inode: Inode
    var process: Process?
    var listing: [String]?
  }

  private var mounts: [String: Inode] = [:]
  private var handles: [Int32: Handle] = [:]
  private var locks: [ObjectIdentifier: Int32] = [:]
  private var lastHandle = firstHandle
  private var lastDevice: UInt64 = 0x800
  private let wall: () -> Int64
  private static let firstHandle: Int32 = 1 << 24

  init(wall: @escaping () -> Int64) { self.wall = wall }

  // MARK: What happens outside of the processes

  /// A new volume, and its root.
  func makeVolume() -> Inode {
    lastDevice += 1
    return Inode(Volume(device: lastDevice), isDirectory: true, mode: 0o755, at: wall())
  }

  /// Mounts `root` at `path`, in place of what was mounted there; nil: unmounts it.
  func mount(_ root: Inode?, at path: String) { mounts[path] = root }

  func root(_ path: String) -> Inode? { mounts[path] }

  @discardableResult
  func makeDirectory(_ name: String, in parent: Inode) -> Inode {
    if let known = parent.entries[name] { return known }
    let made = Inode(parent.volume, isDirectory: true, mode: 0o755, at: wall())
    put(made, name, in: parent)
    return made
  }

  /// A new file under that name; replaces an existing one.
  @discardableResult
  func makeFile(_ name: String, in parent: Inode, _ bytes: [UInt8] = []) -> Inode {
    let made = Inode(parent.volume, isDirectory: false, mode: 0o644, at: wall())
    made.bytes = bytes
    put(made, name, in: parent)
    return made
  }

  func append(_ bytes: [UInt8], to file: Inode) {
    file.bytes += bytes
    touch(file)
  }

  /// New content of the same file: `cp` onto it, or a server that truncates it.
  func overwrite(_ file: Inode, _ bytes: [UInt8]) {
    file.bytes = bytes
    touch(file)
  }

  func rename(_ name: String, to newName: String, in parent: Inode) {
    guard let file = parent.entries[name] else { return }
    parent.entries[name] = nil
    put(file, newName, in: parent)
    file.changed = wall()
  }

  func remove(_ name: String, in parent: Inode) {
    guard let file = parent.entries.removeValue(forKey: name) else { return }
    file.links -= 1
    (file.changed, parent.modified, parent.changed) = (wall(), wall(), wall())
  }

  /// Copies a tree to another volume or directory, with new inodes and, as `cp -a` does, the old times.
  func copy(_ source: Inode, onto target: Inode) {
    for (name, inode) in source.entries.sorted(by: { $0.key < $1.key }) {
      if inode.isDirectory {
        copy(inode, onto: makeDirectory(name, in: target))
      } else {
        let made = makeFile(name, in: target, inode.bytes)
        made.modified = inode.modified
      }
    }
  }

  private func put(_ inode: Inode, _ name: String, in parent: Inode) {
    if let old = parent.entries[name], old !== inode {
      old.links -= 1
      old.changed = wall()
    }
    parent.entries[name] = inode
    (parent.modified, parent.changed) = (wall(), wall())
  }

  private func touch(_ file: Inode) { (file.modified, file.changed) = (wall(), wall()) }

  func handles(of process: Process) -> Int { handles.values.count { $0.process === process } }

  /// A process that died has no descriptors and no locks.
  func end(_ process: Process) {
    for (descriptor, handle) in handles where handle.process === process { close(descriptor) }
  }

  // MARK: Calls of processes

  private var isDead: Bool { Process.current?.isDead ?? false }

  private func resolve(_ directory: Int32, _ path: String) -> (
    parent: Inode?, name: String, found: Inode?
  )? {
    var parts = path.split(separator: "/").map(String.init)
    var inode: Inode
    if path.hasPrefix("/") {
      guard
        let mount = mounts.keys.filter({ path == $0 || path.hasPrefix($0 + "/") }).max(by: {
          $0.utf8.count < $1.utf8.count
        })
      else { return nil }
      inode = mounts[mount]!
      parts = path.dropFirst(mount.utf8.count).split(separator: "/").map(String.init)
    } else {
      guard let handle = handles[directory] else { return nil }
      inode = handle.inode
    }
    parts.removeAll { $0 == "." }
    guard let last = parts.popLast() else { return (nil, "", inode) }
    for part in parts {
      guard let next = inode.entries[part] else { return nil }
      inode = next
    }
    return (inode, last, inode.entries[last])
  }

  /// A change that a process makes. The process may die before or after it.
  private func effect(_ body: () -> Int32) -> Int32 {
    guard let process = Process.current else { return body() }
    if process.isDead { return -EIO }
    let death = process.effect()
    if death == .before {
      process.die()
      return -EIO
    }
    let result = body()
    guard death != nil else { return result }
    process.die()
    return death == .withoutReply ? -EIO : result
  }

  func open(_ directory: Int32, _ path: String, _ flags: Int32, _ mode: UInt32) -> Int32 {
    if isDead { return -EIO }
    guard let place = resolve(directory, path) else { return -ENOENT }
    var inode = place.found
    if flags & O_CREAT != 0 {
      if inode != nil, flags & O_EXCL != 0 { return -EEXIST }
      if inode == nil, let parent = place.parent {
        inode = makeFile(place.name, in: parent)
        inode?.mode = mode & ~0o022
      }
    }
    guard let inode else { return -ENOENT }
    if flags & O_DIRECTORY != 0, !inode.isDirectory { return -ENOTDIR }
    lastHandle += 1
    handles[lastHandle] = Handle(inode: inode, process: Process.current)
    return lastHandle
  }

  func close(_ descriptor: Int32) {
    guard let handle = handles.removeValue(forKey: descriptor) else { return }
    if locks[ObjectIdentifier(handle.inode)] == descriptor {
      locks[ObjectIdentifier(handle.inode)] = nil
    }
  }

  func status(_ directory: Int32, _ path: String) -> Result<Inode, Failure> {
    if isDead { return .failure(Failure(number: EIO)) }
    if path.isEmpty {
      return handles[directory].map { .success($0.inode) } ?? .failure(Failure(number: EBADF))
    }
    return resolve(directory, path)?.found.map { .success($0) }
      ?? .failure(Failure(number: ENOENT))
  }
  struct Failure: Error { var number: Int32 }

  func read(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int64
  {
    if isDead { return Int64(-EIO) }
    guard let file = handles[descriptor]?.inode else { return Int64(-EBADF) }
    let from = min(Int(offset), file.bytes.count)
    let to = min(from + buffer.count, file.bytes.count)
    file.bytes[from..<to].withUnsafeBytes { buffer.copyMemory(from: $0) }
    return Int64(to - from)
  }

  func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer, at offset: Int64) -> Int64 {
    guard let file = handles[descriptor]?.inode else { return Int64(isDead ? -EIO : -EBADF) }
    return Int64(effect { write(file, buffer, at: offset) })
  }

  private func write(_ file: Inode, _ buffer: UnsafeRawBufferPointer, at offset: Int64) -> Int32 {
    let end = Int(offset) + buffer.count
    if file.bytes.count < end {
      file.bytes.append(contentsOf: [UInt8](repeating: 0, count: end - file.bytes.count))
    }
    file.bytes.replaceSubrange(Int(offset)..<end, with: buffer)
    touch(file)
    return Int32(buffer.count)
  }

  func truncate(_ descriptor: Int32, to size: Int64) -> Int32 {
    change(descriptor) { file in
      let missing = Int(size) - file.bytes.count
      if missing > 0 {
        file.bytes.append(contentsOf: [UInt8](repeating: 0, count: missing))
      } else {
        file.bytes.removeLast(-missing)
      }
      touch(file)
    }
  }

  /// A change of an open file.
  func change(_ descriptor: Int32, _ body: (Inode) -> Void) -> Int32 {
    guard let file = handles[descriptor]?.inode else { return isDead ? -EIO : -EBADF }
    return effect {
      body(file)
      file.changed = wall()
      return 0
    }
  }

  func synchronize(_ descriptor: Int32) -> Int32 {
    effect { handles[descriptor] == nil ? -EBADF : 0 }
  }

  func lock(_ descriptor: Int32) -> Int32 {
    if isDead { return -EIO }
    guard let inode = handles[descriptor]?.inode else { return -EBADF }
    if let holder = locks[ObjectIdentifier(inode)], holder != descriptor { return -EWOULDBLOCK }
    locks[ObjectIdentifier(inode)] = descriptor
    return 0
  }

  func rename(
    _ from: Int32, _ name: String, _ to: Int32, _ newName: String, isExclusive: Bool
  ) -> Int32 {
    effect { move(from, name, to, newName, isExclusive: isExclusive) }
  }

  private func move(
    _ from: Int32, _ name: String, _ to: Int32, _ newName: String, isExclusive: Bool
  ) -> Int32 {
    guard let source = resolve(from, name), let parent = source.parent, let inode = source.found,
      let target = resolve(to, newName), let newParent = target.parent
    else { return -ENOENT }
    if let there = target.found {
      if isExclusive { return -EEXIST }
      if there === inode { return 0 }
      if there.isDirectory, !there.entries.isEmpty { return -ENOTEMPTY }
    }
    parent.entries[source.name] = nil
    (parent.modified, parent.changed) = (wall(), wall())
    put(inode, target.name, in: newParent)
    inode.changed = wall()
    return 0
  }

  func link(_ from: Int32, _ name: String, _ to: Int32, _ newName: String) -> Int32 {
    effect {
      guard let inode = resolve(from, name)?.found, let target = resolve(to, newName),
        let parent = target.parent
      else { return -ENOENT }
      if target.found != nil { return -EEXIST }
      inode.links += 1
      put(inode, target.name, in: parent)
      inode.changed = wall()
      return 0
    }
  }

  func remove(_ directory: Int32, _ name: String, isDirectory: Bool) -> Int32 {
    effect {
      guard let place = resolve(directory, name), let parent = place.parent,
        let inode = place.found
      else { return -ENOENT }
      guard inode.isDirectory == isDirectory else { return isDirectory ? -ENOTDIR : -EISDIR }
      if isDirectory, !inode.entries.isEmpty { return -ENOTEMPTY }
      remove(place.name, in: parent)
      return 0
    }
  }

  func makeDirectory(_ directory: Int32, _ name: String) -> Int32 {
    effect {
      guard let place = resolve(directory, name), let parent = place.parent else { return -ENOENT }
      if place.found != nil { return -EEXIST }
      makeDirectory(place.name, in: parent)
      return 0
    }
  }

  /// The entry of that index, as the directory was when its first entry was read.
  func entry(_ descriptor: Int32, _ index: Int) -> Result<(name: String, inode: Inode)?, Failure> {
    if isDead { return .failure(Failure(number: EIO)) }
    guard let handle = handles[descriptor] else { return .failure(Failure(number: EBADF)) }
    if index == 0 { handles[descriptor]!.listing = handle.inode.entries.keys.sorted() }
    let names = handles[descriptor]!.listing ?? []
    guard index < names.count else { return .success(nil) }
    return .success(handle.inode.entries[names[index]].map { (names[index], $0) })
  }
}
