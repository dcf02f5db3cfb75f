import BackupTypes
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import Synchronization
import SystemIO
import SystemPackage
import TestSupport
import Testing
import WriterLogic

/// Simulates a crash. Nothing catches it, and nothing runs after it.
struct Crash: Error {}

/// The files of a directory by path.
typealias Files = [String: [UInt8]]

/// The regular files below a directory. Links are not followed. A FIFO is not opened, because that would wait
/// for a writer for ever.
func files(_ path: String) throws -> Files {
  var found: Files = [:]
  for name in TestFiles.tree(path) where TestFiles.isRegular(path + "/" + name) {
    found[name] = try TestFiles.read(path + "/" + name)
  }
  return found
}

/// The same without Lifeboat's own files.
func visible(_ path: String) throws -> Files {
  try files(path).filter { !$0.key.hasPrefix(".lifeboat") }
}

/// The files in a subdirectory, by their paths in it.
func visible(_ path: String, in aside: String) throws -> Files {
  TestFiles.exists(path + "/" + aside) ? try files(path + "/" + aside) : [:]
}

/// A repository with two states, and directories that restores fill. The restores run in this process and can
/// be stopped before any rename of their commit.
struct RestoreScene {
  /// What was in the directory before the first restore.
  enum Before: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case nothing, anEmptyServer, data
    var testDescription: String { rawValue }
    /// Whether a restore needs --replace.
    var replaces: Bool { self == .data }
  }

  let store: MemoryStore
  let folder: TemporaryDirectory
  /// The newest state, and an earlier one.
  private(set) var newest: Files = [:]
  private(set) var earlier: Files = [:]
  private let clock = Clock()
  private let pool: BlockingPool

  /// A clock that never gives the same instant twice.
  private final class Clock: Sendable {
    private let ticks = Atomic<Int64>(1_000_000)
    func now() -> Instant {
      Instant(milliseconds: ticks.wrappingAdd(1, ordering: .relaxed).newValue)
    }
  }

  init() async throws {
    store = try await SmallRepository(value: 99).store
    folder = try TemporaryDirectory("commit")
    pool = try BlockingPool(name: "restore", threads: 2)
    newest = try await state(RestoreScene.nothing)
    earlier = try await state(RestoreScene.another)
    try #require(newest != earlier && newest.count == 4 && earlier.count == 4)
  }

  private func state(_ asks: (inout Restorer.Options) -> Void) async throws -> Files {
    let data = try directory(.nothing)
    try await restore(data, asks)
    return try visible(data)
  }

  // MARK: What is asked

  static let nothing: @Sendable (inout Restorer.Options) -> Void = { _ in }
  static let replacing: @Sendable (inout Restorer.Options) -> Void = { $0.replaces = true }
  static let another: @Sendable (inout Restorer.Options) -> Void = {
    $0.question = .point("1.2@1:27")
  }
  static let anotherReplacing: @Sendable (inout Restorer.Options) -> Void = {
    $0.question = .point("1.2@1:27")
    $0.replaces = true
  }
  static let ifEmpty: @Sendable (inout Restorer.Options) -> Void = {
    $0.isIfEmpty = true
    $0.isIfBackupExists = true
  }

  /// - Parameter offline: the store fails every call.
  @discardableResult
  func restore(
    _ data: String, _ change: (inout Restorer.Options) -> Void, offline: Bool = false,
    on other: (any ObjectStore)? = nil,
    performing: @escaping RestoreCommit.Performing = { _, body in try body() },
    notes: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> Restorer.Report {
    var options = Restorer.Options(
      data: FilePath(data), question: .newest(), plan: RestorePlan.Options())
    var names = ServerNames()
    names.appendFile = "a"
    options.names = names
    change(&options)
    let away = FaultyStore(store) { _ in .fail(FaultyStore.unreachable) }
    let clock = clock
    var restorer = Restorer(
      options: options, store: other ?? (offline ? away : store), now: { clock.now() }, note: notes,
      progress: { _, _ in })
    restorer.performing = performing
    // A test may block in a step, like a slow disk, so this does not run on a thread that other tests need.
    for attempt in 1... {
      do {
        return try await withTaskExecutorPreference(pool) { [restorer] in
          try await restorer.report()
        }
      } catch let error as LifeboatError
        where attempt < 20 && error.cause == nil
        && error.message.contains("another restore is running")
      {
        // The lock is still held. A process that another test starts has our descriptors until its exec, and
        // with them the lock of a restore that has ended.
        try await Task.sleep(for: .milliseconds(50))
      }
    }
    preconditionFailure("the loop above returns or throws")
  }

  // MARK: Directories

  /// A new directory with these contents.
  func directory(_ before: Before) throws -> String {
    let data = try folder.makeDirectory("data-\(UInt64.random(in: 0 ... .max))")
    for (name, bytes) in RestoreScene.content(before) {
      try TestFiles.makeDirectory(FilePath(data + "/" + name).removingLastComponent().string)
      try TestFiles.write(bytes, to: data + "/" + name)
    }
    return data
  }

  static func content(_ before: Before) -> Files {
    switch before {
    case .nothing: [:]
    case .anEmptyServer:
      [
        "appendonlydir/a.1.incr.aof": [],
        "appendonlydir/a.manifest": Array("file a.1.incr.aof seq 1 type i\n".utf8),
        ".lifeboat-restored.json": Array("of an earlier restore".utf8),
      ]
    case .data:
      [
        "dump.rdb": SmallRepository.rdb(value: 7),
        "appendonlydir/a.1.base.rdb": SmallRepository.rdb(value: 8),
        "appendonlydir/a.1.incr.aof": SmallRepository.set("o"),
        "appendonlydir/a.manifest": Array(
          "file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n".utf8),
        ".lifeboat-restored.json": Array("of an earlier restore".utf8),
      ]
    }
  }

  static func visibleContent(_ before: Before) -> Files {
    content(before).filter { !$0.key.hasPrefix(".lifeboat") }
  }

  // MARK: Stopping

  /// The steps of a restore into this directory.
  func steps(_ data: String, _ change: (inout Restorer.Options) -> Void) async throws
    -> [RestoreCommit.Step]
  {
    let taken = Mutex<[RestoreCommit.Step]>([])
    _ = try await restore(data, change) { step, body in
      taken.withLock { $0.append(step) }
      try body()
    }
    return taken.withLock { $0 }
  }

  /// A restore that crashes before its `limit`th step, or after the last one if there are fewer.
  func crash(
    _ data: String, _ change: (inout Restorer.Options) -> Void, before limit: Int
  ) async throws {
    let count = Mutex(0)
    do {
      _ = try await restore(data, change) { _, body in
        let number = count.withLock { count in
          count += 1
          return count
        }
        if number > limit { throw Crash() }
        try body()
      }
    } catch is Crash {}
  }
}
