import CSimulation
import Glibc
import TestSupport

/// One process of the world: a sidecar, a restore, a `prune`. After its death none of its calls has an
/// effect.
final class Process: @unchecked Sendable {
  @TaskLocal static var current: Process?

  let name: String
  /// Cancelled when the process dies, so that its memory is freed.
  var task: Task<Void, Never>?
  private(set) var isDead = false
  /// At which of its next effects it dies; nil: it does not.
  var effectsLeft: (count: Int, when: Death)?

  enum Death: String, CaseIterable { case before, after, withoutReply }

  init(name: String) { self.name = name }

  func die() {
    guard !isDead else { return }
    isDead = true
    Machine.shared.disk.end(self)
    task?.cancel()
  }

  /// Counts an effect. Returns how the process dies at it, or nil.
  func effect() -> Death? {
    guard !isDead, let (count, when) = effectsLeft else { return nil }
    effectsLeft?.count = count - 1
    guard count <= 0 else { return nil }
    effectsLeft = nil
    return when
  }
}

/// The simulated machine of this thread: its jobs, clocks, disk, and random numbers.
///
/// `@unchecked Sendable`: everything in a simulation runs on one thread.
final class Machine: @unchecked Sendable {
  nonisolated(unsafe) private(set) static var shared = Machine(seed: 0)

  var scheduler: Scheduler
  private(set) var disk: SimDisk!
  var random: SeededRandom
  /// The wall clock minus the monotonic one, in nanoseconds.
  var wallOffset: Int64
  /// A digest of everything that had an effect, in order.
  private(set) var trace: UInt64 = 0xcbf2_9ce4_8422_2325
  private(set) var jobs = 0
  /// Prints the trace.
  nonisolated(unsafe) static var isVerbose = false

  /// 2027-01-15.
  static let start: Int64 = 1_800_000_000_000_000_000
  /// A world that runs more jobs than this is in an endless loop.
  private static let jobsMax = 3_000_000

  private init(seed: UInt64) {
    scheduler = Scheduler(now: 1_000_000_000_000)
    random = SeededRandom(seed: seed ^ 0x5eed)
    wallOffset = Machine.start - 1_000_000_000_000
    disk = SimDisk { [unowned self] in wall }
  }

  var wall: Int64 { scheduler.now + wallOffset }
  var milliseconds: Int64 { scheduler.now / 1_000_000 }
  var wallMilliseconds: Int64 { wall / 1_000_000 }

  func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  func note(_ text: @autoclosure () -> String) {
    let line = "\(milliseconds) \(Process.current?.name ?? "world") \(text())"
    for byte in line.utf8 { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01b3 }
    if Machine.isVerbose { print(line) }
  }

  // MARK: Running

  enum End: Error { case nothingIsReady, endless }

  /// Runs `body`, and everything that it starts, in a machine of its own.
  static func run(seed: UInt64, _ body: @escaping @Sendable () async -> Void) -> Result<
    Machine, End
  > {
    let machine = Machine(seed: seed)
    shared = machine
    csim_activate(1)
    defer { csim_activate(0) }
    nonisolated(unsafe) var isDone = false
    Task.detached {
      await body()
      isDone = true
    }
    while !isDone {
      guard let job = machine.scheduler.next(&machine.random) else {
        return .failure(.nothingIsReady)
      }
      machine.jobs += 1
      guard machine.jobs < jobsMax else { return .failure(.endless) }
      csim_run(job)
    }
    return .success(machine)
  }

  /// Called once, before the first `run`.
  static func install() {
    var calls = csim_machine(
      open: { Machine.shared.disk.open($0, String(cString: $1), $2, $3) },
      close: { Machine.shared.disk.close($0) },
      status: { directory, path, answer in
        switch Machine.shared.disk.status(directory, String(cString: path)) {
        case .success(let inode):
          answer.pointee = csim_status(inode)
          return 0
        case .failure(let failure): return -failure.number
        }
      },
      read: {
        Machine.shared.disk.read(
          $0, UnsafeMutableRawBufferPointer(start: $1, count: Int($2)), at: $3)
      },
      write: {
        Machine.shared.disk.write($0, UnsafeRawBufferPointer(start: $1, count: Int($2)), at: $3)
      },
      truncate: { Machine.shared.disk.truncate($0, to: $1) },
      synchronize: { Machine.shared.disk.synchronize($0) },
      set_mode: { descriptor, mode in Machine.shared.disk.change(descriptor) { $0.mode = mode } },
      set_modified: { descriptor, time in
        Machine.shared.disk.change(descriptor) { $0.modified = time }
      },
      lock: { Machine.shared.disk.lock($0) },
      rename: {
        Machine.shared.disk.rename(
          $0, String(cString: $1), $2, String(cString: $3), isExclusive: $4 != 0)
      },
      link: { Machine.shared.disk.link($0, String(cString: $1), $2, String(cString: $3)) },
      remove: { Machine.shared.disk.remove($0, String(cString: $1), isDirectory: $2 != 0) },
      make_directory: { directory, name, _ in
        Machine.shared.disk.makeDirectory(directory, String(cString: name))
      },
      entry: { descriptor, index, name in
        switch Machine.shared.disk.entry(descriptor, Int(index)) {
        case .failure(let failure): return -failure.number
        case .success(nil): return 0
        case .success(let entry?):
          strncpy(name, entry.name, 255)
          return Int32(entry.inode.isDirectory ? DT_DIR : DT_REG)
        }
      },
      volume: { descriptor, path in
        switch Machine.shared.disk.status(descriptor, String(cString: path)) {
        case .success(let inode): return Int64(inode.volume.device)
        case .failure(let failure): return Int64(-failure.number)
        }
      },
      clock: { $0 != 0 ? Machine.shared.wall : Machine.shared.scheduler.now },
      random: { Machine.shared.random.next() },
      enqueue: { Machine.shared.scheduler.add($0, after: $1) })
    csim_install(&calls)
  }
}

extension csim_status {
  init(_ inode: SimDisk.Inode) {
    self.init(
      device: inode.volume.device, inode: inode.number, size: UInt64(inode.bytes.count),
      links: inode.links, owner: 1000, group: 1000,
      mode: inode.mode | UInt32(inode.isDirectory ? S_IFDIR : S_IFREG), modified: inode.modified,
      changed: inode.changed, born: inode.born)
  }
}
