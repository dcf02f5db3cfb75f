import BackupTypes
import Glibc
import Synchronization
import SystemIO
import SystemPackage
import Testing

/// Waits are for events, with a limit that only a broken watcher reaches. That nothing happens is proved by a
/// later event.
@Suite(.timeLimit(.minutes(15))) struct DirectoryWatcherTests {
  typealias Changes = DirectoryWatcher.Changes

  /// Delivered changes, which can be awaited one by one.
  final class Deliveries: Sendable {
    private let stream: AsyncStream<Changes>
    private let continuation: AsyncStream<Changes>.Continuation
    let count = Atomic<Int>(0)

    init() { (stream, continuation) = AsyncStream.makeStream() }
    func deliver(_ changes: Changes) {
      count.add(1, ordering: .relaxed)
      continuation.yield(changes)
    }
    func next() async -> Changes? { await stream.first { _ in true } }
  }

  let scratch: Scratch
  let deliveries = Deliveries()
  let watcher: DirectoryWatcher
  var directory: OpenDirectory { scratch.directory }

  init() throws {
    scratch = try Scratch()
    watcher = try DirectoryWatcher(ignoringNamesBeginning: "temp-") { [deliveries] changes in
      deliveries.deliver(changes)
    }
  }

  private func append(_ file: OpenFile, times: Int = 1) throws {
    for _ in 0..<times {
      let size = try file.status().size
      try [1 as UInt8].withUnsafeBytes { try file.write($0, at: size) }
    }
  }

  @Test func aRenameWakes() async throws {
    try scratch.write("temp-1.rdb", "dump")
    try watcher.watch(scratch.path, role: .data)
    try directory.rename("temp-1.rdb", to: directory, as: "dump.rdb", noReplace: false)
    #expect(await deliveries.next() == .entries)
    watcher.stop()
  }

  @Test func whatIsIrrelevantDoesNotWake() async throws {
    try scratch.write("appendonly.aof.1.incr.aof", "")
    let file = try OpenFile(openReadWrite: scratch.path("appendonly.aof.1.incr.aof"))
    try watcher.watch(scratch.path, role: .data)
    // Reads, unwatched appends, and temporary files of a dump.
    _ = try file.readAll(limit: 100)
    _ = try directory.entries()
    try append(file, times: 1000)
    _ = try directory.create("temp-2.rdb", mode: 0o600)
    try directory.remove("temp-2.rdb")
    #expect(deliveries.count.load(ordering: .relaxed) == 0)
    _ = try directory.create("new", mode: 0o600)
    #expect(await deliveries.next() == .entries)
    #expect(deliveries.count.load(ordering: .relaxed) == 1)
    watcher.stop()
  }

  @Test func changesAreFoldedUntilRearmed() async throws {
    try watcher.watch(scratch.path, role: .data)
    _ = try directory.create("0", mode: 0o600)
    #expect(await deliveries.next() == .entries)
    for number in 1...500 { _ = try directory.create("\(number)", mode: 0o600) }
    #expect(deliveries.count.load(ordering: .relaxed) == 1)
    watcher.rearm()
    #expect(await deliveries.next() == .entries)
    watcher.rearm()
    // Nothing is left over, so the next delivery is for the next change.
    try directory.makeDirectory("d", mode: 0o700)
    try watcher.watch(scratch.path("d"), role: .appendOnlyDirectory)
    _ = await deliveries.next()
    watcher.stop()
    #expect((3...4).contains(deliveries.count.load(ordering: .relaxed)))
  }

  @Test func aModificationWakesOnceUntilArmed() async throws {
    try scratch.write("incr", "")
    let file = try OpenFile(openReadWrite: scratch.path("incr"))
    try watcher.watch(scratch.path, role: .appendOnlyDirectory, watchModifications: true)
    try append(file)
    #expect(await deliveries.next() == .modification)
    watcher.rearm()
    try append(file, times: 2000)
    watcher.armModification()
    try append(file)
    #expect(await deliveries.next() == .modification)
    // 2002 appends, two deliveries: appends while disarmed do not wake anybody.
    #expect(deliveries.count.load(ordering: .relaxed) == 2)
    // Names are still watched while modifications are not.
    watcher.rearm()
    _ = try directory.create("next", mode: 0o600)
    #expect(await deliveries.next() == .entries)
    watcher.stop()
  }

  @Test func overflowIsARescan() async throws {
    try watcher.watch(scratch.path, role: .data)
    _ = try directory.create("first", mode: 0o600)
    #expect(await deliveries.next() == .entries)
    // Two events each, and none is read, which is more than the kernel keeps.
    let text = try OpenFile(reading: "/proc/sys/fs/inotify/max_queued_events").readAll(limit: 64)
    let kept = try #require(Int(String(decoding: text.dropLast(), as: UTF8.self)))
    try #require(kept <= 200_000, "fs.inotify.max_queued_events is too high for this test")
    for number in 0..<kept / 2 + 500 {
      _ = try directory.create("\(number)", mode: 0o600)
      try directory.remove("\(number)")
    }
    watcher.rearm()
    let changes = try #require(await deliveries.next())
    #expect(changes.contains(.rescan))
    watcher.stop()
  }

  @Test func aDirectoryThatGoesAwayIsARescan() async throws {
    try directory.makeDirectory("d", mode: 0o700)
    try watcher.watch(scratch.path("d"), role: .appendOnlyDirectory)
    try directory.removeDirectory("d")
    #expect(await deliveries.next() == .rescan)
    // The new directory can be watched instead.
    try directory.makeDirectory("d", mode: 0o700)
    try watcher.watch(scratch.path("d"), role: .appendOnlyDirectory)
    watcher.rearm()
    _ = try directory.openDirectory("d")?.create("f", mode: 0o600)
    var changes = await deliveries.next()
    // The watch of the old directory may still report that it is gone.
    if changes == .rescan {
      watcher.rearm()
      changes = await deliveries.next()
    }
    #expect(changes == .entries)
    watcher.stop()
  }

  @Test func aReplacedDirectoryShowsWhenArming() async throws {
    try directory.makeDirectory("d", mode: 0o700)
    let former = try #require(try directory.openDirectory("d"))
    let file = try former.create("incr", mode: 0o600)
    try watcher.watch(
      scratch.path("d"), role: .appendOnlyDirectory, watchModifications: true)
    try append(file)
    #expect(await deliveries.next() == .modification)
    try directory.rename("d", to: directory, as: "old", noReplace: true)
    try directory.makeDirectory("d", mode: 0o700)
    watcher.armModification()
    watcher.rearm()
    #expect(await deliveries.next()?.contains(.rescan) == true)
    watcher.stop()
  }

  @Test func unwatchedAndStoppedIsSilent() async throws {
    try directory.makeDirectory("d", mode: 0o700)
    try watcher.watch(scratch.path, role: .data)
    try watcher.watch(scratch.path("d"), role: .appendOnlyDirectory)
    watcher.unwatch(.data)
    _ = try directory.create("unseen", mode: 0o600)
    _ = try directory.openDirectory("d")?.create("seen", mode: 0o600)
    #expect(await deliveries.next() == .entries)
    #expect(deliveries.count.load(ordering: .relaxed) == 1)
    watcher.rearm()
    watcher.stop()
    watcher.stop()
    _ = try directory.openDirectory("d")?.create("after", mode: 0o600)
    #expect(deliveries.count.load(ordering: .relaxed) == 1)
  }

  @Test func whatCannotBeWatchedIsAnError() throws {
    try scratch.write("f", "")
    for name in ["absent", "f"] {
      let path = scratch.path(name)
      #expect(failure { () throws(LifeboatError) in try watcher.watch(path, role: .data) } != nil)
    }
  }

  @Test func manyWatchersComeAndGo() throws {
    // Only counts inotify descriptors, because other tests of this process open and close files.
    func instances() -> Int {
      (0..<4096).count { number in
        var buffer = [CChar](repeating: 0, count: 64)
        let length = readlink("/proc/self/fd/\(number)", &buffer, buffer.count)
        let name = buffer.prefix(max(0, length)).map { UInt8(bitPattern: $0) }
        return String(decoding: name, as: UTF8.self) == "anon_inode:inotify"
      }
    }
    for _ in 0..<3 {
      for _ in 0..<50 {
        let watcher = try DirectoryWatcher { _ in }
        try watcher.watch(scratch.path, role: .data)
      }
    }
    #expect(instances() < 100, "150 if they leaked")
  }
}
