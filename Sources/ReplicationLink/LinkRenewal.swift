import BackupTypes
import Logging
import RedisFormats
import Shipping
import Synchronization
import SystemIO
import WriterLogic

/// Decides when a newer full copy is worth its cost, and handles the one that is under way.
///
/// A restore reads the full copy and all of the stream after it, so it takes longer the longer the stream is.
final class LinkRenewal: Sendable {
  struct Limits: Sendable {
    /// The size of the log since the last full copy, as a percentage of that copy,
    var ratio: UInt64
    /// and in bytes. Both must be reached.
    var least: UInt64
  }

  let limits: Limits
  /// Makes the file of the copy, and the part of the stream that follows it at an offset.
  let make:
    @Sendable (_ offset: UInt64, _ estimate: UInt64, _ bell: WaitPoint) -> (
      LinkBase, LinkLine.Part
    )
  private struct State {
    var isRunning = false
    var notBefore: Int64 = 0
    var copies = CopyRequests()
  }
  private let state = Mutex(State())

  static let pause: Int64 = 60_000

  init(
    _ limits: Limits,
    make:
      @escaping @Sendable (_ offset: UInt64, _ estimate: UInt64, _ bell: WaitPoint) -> (
        LinkBase, LinkLine.Part
      )
  ) {
    self.limits = limits
    self.make = make
  }

  func isDue(_ line: LinkLine) -> Bool {
    let (log, base) = line.sinceBase
    let share = base.multipliedReportingOverflow(by: limits.ratio)
    return log >= limits.least && !share.overflow && log >= share.partialValue / 100
  }

  /// Returns whether a copy may be requested now.
  func begin(now: Int64) -> Bool {
    state.withLock { state in
      guard !state.isRunning, now >= state.notBefore, state.copies.wait(now: now) == nil else {
        return false
      }
      (state.isRunning, state.notBefore) = (true, now + LinkRenewal.pause)
      return true
    }
  }
  func requested(now: Int64) { state.withLock { $0.copies.requested(now: now) } }
  func end(isReceived: Bool, now: Int64) {
    state.withLock { state in
      state.isRunning = false
      state.copies.ended(isRestorable: isReceived, now: now)
    }
  }
}

extension LinkReceiver {
  /// Requests a newer full copy over a separate connection, beside the stream.
  func renewBaseIfDue(_ line: LinkLine) {
    guard line.isFollowed, !line.hasNext, renewal.isDue(line),
      renewal.begin(now: time.monotonic)
    else { return }
    do throws(LifeboatError) {
      let thread = try SystemThread(name: "link-copy") { [self] in
        do throws(LifeboatError) {
          try renewBase(line)
          renewal.end(isReceived: true, now: time.monotonic)
        } catch {
          renewal.end(isReceived: false, now: time.monotonic)
          logger.warning(
            "a newer full copy could not be received; the older one and the log stay",
            metadata: error.logged)
        }
        line.showAll(at: time.now())
        shared.tell(isQuestion: false)
      }
      thread.detach()
    } catch {
      renewal.end(isReceived: false, now: time.monotonic)
      logger.warning("no thread for a newer full copy", metadata: error.logged)
    }
  }

  private func renewBase(_ line: LinkLine) throws(LifeboatError) {
    let session = try server.connect()
    defer { session.close() }
    let info = try session.info()
    // A save, a rewrite or another replica's copy forks already.
    guard !info.isSaving, !info.isRewriting, info.historyID == line.id else { return }
    // Servers that know this option buffer no stream for such a replica.
    _ = try session.command("REPLCONF", "rdb-only", "1")
    var wire = try server.handshake(session, info, time: time)
    line.holdBack()
    try wire.send(["PSYNC", "?", "-1"])
    let isOver = { [self] in isStopped || self.line !== line }
    guard case .full(let id, let offset) = try wire.answer(isStopped: isOver) else { return }
    shared.noteNewerCopy()
    renewal.requested(now: time.monotonic)
    let bell = WaitPoint()
    let (base, part) = renewal.make(offset, line.sinceBase.base, bell)
    guard line.split(at: offset, id: id, base, part) else {
      throw LifeboatError(.failure, "the stream has already continued after the copy's offset")
    }
    line.showAll(at: time.now())
    shared.tell(isQuestion: false)
    logger.info("receiving a newer full copy", metadata: ["offset": "\(offset)"])
    base.begin(spool())
    do throws(LifeboatError) {
      _ = try CopyReceiver(time: time, bell: bell, logger: logger).run(
        &wire, into: base, isStopped: isOver)
    } catch {
      base.fail(error)
      line.abandonNext()
      throw error
    }
  }
}
