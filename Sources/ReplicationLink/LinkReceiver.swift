import BackupTypes
import HTTPTransport
import Logging
import RedisFormats
import Shipping
import Synchronization
import SystemIO
import SystemPackage
import WriterLogic

/// Keeps a link to the server on a thread of its own: connects, asks for the part of its history that is missing,
/// receives it, and acknowledges what is durable.
///
/// It reads all the time. If its memory is full, it closes the connection, so that the server does not have
/// to hold data for it, and connects again when there is room.
final class LinkReceiver: Sendable {
  enum Status: Sendable {
    case connecting
    /// The stream is being received, or the full copy can be requested.
    case ready
    /// The link is down since this time, by the monotonic clock.
    case down(LifeboatError, since: Int64)
  }
  private struct State {
    var line: LinkLine?
    var status = Status.connecting
    var isStopped = false
    /// Ends the wait for the server.
    var wake: (@Sendable () -> Void)?
  }

  /// A primary sends a PING every ten seconds, and a line end each second before it sends its copy.
  static let silenceMax: Int64 = 60_000
  static let acknowledgeInterval: Int64 = 1000
  /// How often a server without data is asked whether it has some.
  private static let emptyInterval: Int64 = 5000
  private static let pauses: ClosedRange<Int64> = 250...15_000

  let server: LinkServer
  private let spoolDirectory: FilePath?
  private let state = Mutex(State())
  let renewal: LinkRenewal
  /// Whether the audit has found that the server has another history than the one that is received.
  private let isForeign = Mutex(false)
  /// Signalled when there is room, when a copy is read, when something became durable, and to stop.
  let bell: WaitPoint
  private let makeLine: @Sendable (ReplicationInfo, _ reason: String) -> LinkLine
  /// Is notified if there is new data to look at.
  let shared: LinkState
  let time: any TimeSource
  let logger: Logger

  /// - Parameters:
  ///   - spool: the directory for full copies that come faster than the store takes them.
  ///   - line: the history in the repository. Nil if it has none that can be continued.
  ///   - makeLine: makes a new history, if none can be continued.
  init(
    _ server: LinkServer, spool: FilePath?, line: LinkLine?, bell: WaitPoint, renewal: LinkRenewal,
    time: any TimeSource, logger: Logger,
    shared: LinkState, makeLine: @escaping @Sendable (ReplicationInfo, _ reason: String) -> LinkLine
  ) throws(LifeboatError) {
    self.server = server
    spoolDirectory = spool
    self.bell = bell
    self.renewal = renewal
    self.makeLine = makeLine
    self.shared = shared
    self.time = time
    self.logger = logger
    state.withLock { $0.line = line }
    let thread = try SystemThread(name: "link") { [self] in run() }
    thread.detach()
  }

  var line: LinkLine? { state.withLock { $0.line } }
  var status: Status { state.withLock { $0.status } }

  func stop() {
    let (wake, line) = state.withLock { state in
      state.isStopped = true
      return (state.wake, state.line)
    }
    wake?()
    bell.signal()
    line?.base.fail(LifeboatError(.failure, "the link was closed", isRetryable: true))
  }

  func noteForeign() {
    isForeign.withLock { $0 = true }
    wake()
  }

  /// Something became durable.
  func wake() {
    state.withLock { $0.wake }?()
    bell.signal()
  }

  var isStopped: Bool { state.withLock { $0.isStopped } }

  // MARK: The thread

  private func run() {
    var pause = LinkReceiver.pauses.lowerBound
    while !isStopped {
      let begun = time.monotonic
      do throws(LifeboatError) {
        try connect()
        pause = LinkReceiver.pauses.lowerBound
      } catch {
        note(error)
        // A link that was up for a while is connected again soon.
        let wasUp = time.monotonic - begun > 30_000
        pause =
          wasUp ? LinkReceiver.pauses.lowerBound : min(pause * 2, LinkReceiver.pauses.upperBound)
      }
      state.withLock { $0.wake = nil }
      if !isStopped { bell.wait(milliseconds: pause) }
    }
  }

  private func note(_ error: LifeboatError) {
    let (isFirst, line) = state.withLock { state -> (Bool, LinkLine?) in
      guard !state.isStopped else { return (false, state.line) }
      var (isFirst, since) = (true, time.monotonic)
      if case .down(_, let before) = state.status { (isFirst, since) = (false, before) }
      state.status = .down(error, since: since)
      return (isFirst, state.line)
    }
    if let base = line?.base, case .receiving = base.stage { base.fail(error) }
    shared.note(isUp: false)
    guard isFirst else { return }
    logger.warning("the replication link is down", metadata: error.logged)
    shared.tell(isQuestion: false)
  }

  private func noteReady() {
    let isNews = state.withLock { state -> Bool in
      defer { state.status = .ready }
      if case .ready = state.status { return false }
      return true
    }
    shared.note(isUp: true)
    if isNews { shared.tell(isQuestion: false) }
  }

  /// Handles one connection, until it ends or is closed.
  private func connect() throws(LifeboatError) {
    while let line, !line.hasRoom, !isStopped { bell.wait(milliseconds: 1000) }
    guard !isStopped else { return }
    isForeign.withLock { $0 = false }
    let session = try server.connect()
    shared.note(upstream: session.address)
    state.withLock { $0.wake = { session.wake() } }
    let info = try session.info()
    if line?.isContinued == true { line?.note(keys: info.keys) }
    switch Resync.decide(line?.held, try info.primary(of: server.url)) {
    case .notNow(let reason):
      throw LifeboatError(
        .failure, "\(server.url) is not ready", cause: reason, isRetryable: true)
    case .full(let reason):
      if let delay = shared.copyDelay(now: time.monotonic) {
        session.close()
        throw tooManyCopies(delay.failures, delay.wait)
      }
      try receiveAll(session, info, reason)
    case .partial(let id, let after): try receiveRest(session, info, id, after)
    case .fork(let id, let after):
      let lost = (line?.held?.offset ?? after) - after
      logger.error(
        "the server has lost writes that it had acknowledged: it continues from an earlier state",
        metadata: [
          "lost": "\(counted(lost, "byte")) of its stream, which the repository keeps",
          "remedy": "`lifeboat list` shows the abandoned branch, and the command that restores it",
        ])
      line?.abandonNext()
      line?.cut(to: after, as: shared.nextPin(), shared.nextIdentity())
      shared.tell(isQuestion: false)
      try receiveRest(session, info, id, after)
    }
  }

  private func receiveRest(
    _ session: RedisSession, _ info: ReplicationInfo, _ id: String, _ after: UInt64
  ) throws(LifeboatError) {
    guard let line else { return }
    var wire = try server.handshake(session, info, time: time)
    try wire.send(["PSYNC", id, String(after + 1)])
    switch try wire.answer(isStopped: { isStopped }) {
    case .continues(let other):
      line.continued(id: other, at: time.now())
      logger.notice("the replication link is up", metadata: ["offset": "\(after)"])
      noteReady()
      try receiveStream(&wire, line)
    case .full:
      // The server has begun a full copy, but nobody reads it yet.
      shared.noteCopy(isRead: false, now: time.monotonic)
      session.close()
      makeNew(
        info, "the server no longer has its stream from offset \(after) on: raise repl-backlog-size"
      )
    }
  }

  private func makeNew(_ info: ReplicationInfo, _ reason: String) {
    logger.notice("a full copy of the server's data is needed", metadata: ["reason": "\(reason)"])
    let line = makeLine(info, reason)
    let old = state.withLock { state -> LinkLine? in
      defer { (state.line, state.status) = (line, .ready) }
      return state.line
    }
    old?.base.fail(
      LifeboatError(.failure, "the server has started another history", isRetryable: true))
    shared.tell(isQuestion: false)
  }

  private func receiveAll(
    _ session: RedisSession, _ info: ReplicationInfo, _ reason: String
  ) throws(LifeboatError) {
    guard let line, line.base.isWanted else {
      session.close()
      if let line, line.base.isUnread, !line.isOutdated(by: info) {
        noteReady()
      } else {
        makeNew(info, reason)
      }
      // The copy is not requested until the shipper reads it. A shipper does not read that of a server
      // without data, so such a server is asked again.
      while let line = self.line, line.base.isUnread, !isStopped {
        bell.wait(milliseconds: LinkReceiver.emptyInterval)
        if line.isEmpty { return }
      }
      return
    }
    guard line.isStill(info) else {
      // The server has other data now than when the claim was made, so the shrink guard has to judge again.
      session.close()
      return makeNew(info, "the server's data has changed since the first request")
    }
    var wire = try server.handshake(session, info, time: time)
    try wire.send(["PSYNC", "?", "-1"])
    guard case .full(let id, let offset) = try wire.answer(isStopped: { isStopped }) else {
      throw LifeboatError(
        .failure, "\(server.url) did not send a full copy", isRetryable: true)
    }
    shared.noteCopy(isRead: true, now: time.monotonic)
    line.begin(id: id, offset: offset, spool: spool())
    logger.notice(
      "receiving a full copy", metadata: ["offset": "\(offset)", "reason": "\(line.reason)"])
    noteReady()
    let copy = CopyReceiver(time: time, bell: bell, logger: logger)
    let rest = try copy.run(&wire, into: line.base) { isStopped }
    if !rest.isEmpty { try add(rest[...], to: line) }
    try receiveStream(&wire, line)
  }

  private func tooManyCopies(_ failures: Int, _ wait: Int64) -> LifeboatError {
    LifeboatError(
      .failure,
      "the last \(counted(failures, "full copy", "full copies")) of \(server.url) did not reach "
        + "the repository",
      cause:
        "the next one is requested in \((wait + 999) / 1000) s, because each makes the server fork",
      hint: "fix the cause, which is in the log; to retry at once, restart Lifeboat",
      isRetryable: true)
  }

  /// For one full copy. Without it a slow store holds the server's child process, which is no reason to take no copy.
  func spool() -> CopySpool? {
    guard let spoolDirectory else { return nil }
    do throws(LifeboatError) { return try CopySpool(in: spoolDirectory) } catch {
      logger.warning(
        "the full copy is not spooled: the server waits for the store",
        metadata: error.logged)
      return nil
    }
  }

  private func receiveStream(_ wire: inout LinkWire, _ line: LinkLine) throws(LifeboatError) {
    var last: (offset: UInt64, at: Int64) = (0, 0)
    while !isStopped, self.line === line {
      let (offset, now) = (line.acknowledged, time.monotonic)
      if offset != last.offset || now - last.at >= LinkReceiver.acknowledgeInterval {
        try wire.acknowledge(offset)
        last = (offset, now)
      }
      if line.isFull {
        throw LifeboatError(
          .failure, "the link was closed: the store does not take its data fast enough",
          cause: "\(counted(UInt64(line.pending), "byte")) are waiting",
          hint: "Lifeboat connects again when there is room; a larger --memory allows more",
          isRetryable: true)
      }
      if isForeign.withLock({ $0 }) {
        isForeign.withLock { $0 = false }
        throw LifeboatError(
          .failure,
          "the server has changed the id of its replication history, or another server is now the primary",
          isRetryable: true)
      }
      if line.base.isLost, !line.isRestorable {
        throw LifeboatError(.failure, "the full copy was lost", isRetryable: true)
      }
      renewBaseIfDue(line)
      var wait = LinkReceiver.acknowledgeInterval - (now - last.at)
      if line.isHoldingBack { wait = min(wait, LinkLine.lateBy) }
      let bytes = try wire.receive(waiting: max(1, wait))
      if !bytes.isEmpty { try add(bytes, to: line) }
      if line.isHoldingBack, line.showLate(at: time.now()) {
        shared.tell(isQuestion: line.isAwaited)
      }
    }
  }

  private func add(_ bytes: ArraySlice<UInt8>, to line: LinkLine) throws(LifeboatError) {
    let news = try line.append(bytes, at: time.now())
    if news.isData || news.isQuestion { shared.tell(isQuestion: news.isQuestion) }
  }
}
