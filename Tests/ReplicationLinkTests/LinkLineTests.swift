import BackupFormat
import BackupTypes
import RedisFormats
import SystemIO
import Testing

@testable import ReplicationLink
@testable import WriterLogic

/// Which parts of a server's history are shown, held and acknowledged.
struct LinkLineTests {
  private let state = LinkState()
  private let bell = WaitPoint()
  private let timeline = TimelineNumber.first

  private func now(_ milliseconds: Int64 = 0) -> Now {
    Now(wall: Instant(milliseconds: 1_700_000_000_000 + milliseconds), monotonic: milliseconds)
  }

  private func part(_ start: UInt64) -> LinkLine.Part {
    LinkLine.Part(
      pin: state.nextPin(), name: "log.\(start)", sequence: 1, identity: state.nextIdentity(),
      start: start)
  }
  private func base(stored: UInt64? = 10) -> LinkBase {
    let file = PinnedFile(
      pin: state.nextPin(), name: "base", size: 1, modified: FileMoment(now().wall), born: nil,
      identity: state.nextIdentity())
    return LinkBase(file, sequence: 1, name: state.nextName(), stored: stored, receiver: bell)
  }
  /// A history that the repository has up to 1000.
  private func line(held: Int = 12 << 20) -> LinkLine {
    LinkLine(
      continuing: "a", base: base(), parts: [part(500)], durable: 1000, timelines: [timeline],
      limits: .init(heldMax: held), now: now().wall)
  }
  private func command(_ words: String...) -> ArraySlice<UInt8> {
    var text = "*\(words.count)\r\n"
    for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
    return Array(text.utf8)[...]
  }
  private func restorable(_ line: LinkLine, to offset: UInt64) throws -> RestorableLog {
    let part = try #require(line.view(at: now().wall).aof.set?.increments.last?.file)
    return RestorableLog(pin: part.pin, offset: offset - 500, base: nil)
  }

  @Test func onlyWhatIsDurableIsAcknowledged() throws {
    let line = line()
    #expect(line.acknowledged == 1000)
    let set = command("SET", "k", "v")
    let news = try line.append(set, at: now())
    #expect(news.isData && !news.isQuestion)
    let end = 1000 + UInt64(set.count)
    #expect(line.acknowledged == 1000, "it was received, and is not durable")
    #expect(line.held?.offset == end)
    line.confirm(try restorable(line, to: end), in: timeline)
    #expect(line.acknowledged == end)
  }

  @Test func aFullCopyThatIsNotDurableIsNeverAcknowledged() throws {
    let line = LinkLine(
      base: base(stored: nil), first: part(0), because: "a test", runID: nil, keys: .none,
      hadData: false,
      limits: .init(heldMax: 1 << 20), now: now().wall)
    #expect(line.held == nil && line.isEmpty)
    line.begin(id: "b", offset: 77)
    _ = try line.append(command("SET", "k", "v"), at: now())
    #expect(line.acknowledged == 0 && !line.isEmpty)
    // Nothing can be requested before the whole copy has arrived.
    #expect(line.held == nil)
    line.base.end()
    #expect(line.held?.base == 77 && line.held?.id == "b")
  }

  /// The claim was made for the data that the server had at the first request.
  @Test func aServerThatChangedBeforeItsCopyIsJudgedAgain() {
    func info(_ run: String, keys: UInt64) -> ReplicationInfo {
      var info = ReplicationInfo()
      info.runID = run
      info.keys = KeyBounds(counted: [(0, keys, 0)])
      return info
    }
    let line = LinkLine(
      base: base(stored: nil), first: part(0), because: "a test", runID: "first",
      keys: KeyBounds(counted: [(0, 201, 0)]), hadData: true, limits: .init(heldMax: 1 << 20),
      now: now().wall)
    #expect(line.isStill(info("first", keys: 190)))
    #expect(!line.isStill(info("first", keys: 1)), "nearly all keys are gone")
    #expect(!line.isStill(info("second", keys: 201)), "it was started again")
    let empty = LinkLine(
      base: base(stored: nil), first: part(0), because: "a test", runID: "first", keys: .none,
      hadData: false, limits: .init(heldMax: 1 << 20), now: now().wall)
    var written = info("first", keys: 1)
    written.hasData = true
    #expect(!empty.isStill(written), "nobody would read the copy of a server without data")
    written.hasData = false
    #expect(empty.isStill(written))
  }

  @Test func nothingIsUploadedForPings() throws {
    let line = line()
    let ping = command("PING")
    let news = try line.append(ping, at: now())
    #expect(!news.isData)
    #expect(line.view(at: now().wall).aof.set?.increments.last?.file.size == 500)
    // No data can be lost, so it is acknowledged at once.
    #expect(line.acknowledged == 1000 + UInt64(ping.count))
  }

  @Test func aQuestionIsAnsweredWhenItsDataAreDurable() throws {
    let line = line()
    let (set, ask) = (command("SET", "k", "v"), command("REPLCONF", "GETACK", "*"))
    _ = try line.append(set, at: now())
    #expect(!line.view(at: now().wall).isAwaited)
    let news = try line.append(ask, at: now())
    #expect(news.isQuestion && line.view(at: now().wall).isAwaited)
    line.confirm(try restorable(line, to: 1000 + UInt64(set.count)), in: timeline)
    #expect(!line.view(at: now().wall).isAwaited)
    #expect(line.acknowledged == 1000 + UInt64(set.count + ask.count))
  }

  /// The server has lost what we have after 1010. A session that does not know this yet reports old bytes as
  /// durable.
  @Test func afterAForkOldBytesAreNotTakenForNewOnes() throws {
    let line = line()
    _ = try line.append(command("SET", "k", "old"), at: now())
    let old = try restorable(line, to: line.held!.offset)
    line.confirm(old, in: timeline)
    line.cut(to: 1010, as: state.nextPin(), state.nextIdentity())
    #expect(line.held?.offset == 1010 && line.acknowledged == 1010)
    _ = try line.append(command("SET", "k", "another value"), at: now())
    line.confirm(old, in: timeline)
    let new = try restorable(line, to: line.held!.offset)
    line.confirm(new, in: timeline)
    #expect(line.acknowledged == 1010)
    line.compared()
    let part = try #require(line.part(new.pin))
    #expect(line.proved(part, in: timeline) == 510)
    #expect(line.proved(part, in: TimelineNumber(2)!) == 0)
    // Behind this offset the log of the timeline is not the server's, so its bytes are not asked for.
    #expect(line.isForked(part, in: timeline, at: 510))
    #expect(!line.isForked(part, in: timeline, at: 509))
    #expect(!line.isForked(part, in: TimelineNumber(2)!, at: 510))
  }

  /// A session that has read bytes that the server has lost must neither upload others in their place nor go
  /// on: by its next look, the file can be longer than before.
  @Test func afterAForkWhoWasShownTheOldBytesIsTold() throws {
    let line = line()
    let old = try #require(line.view(at: now().wall).aof.set?.increments.last?.file)
    let file = LinkLog(part: try #require(line.part(old.pin)), line: line)
    _ = try line.append(command("SET", "k", "old"), at: now())
    #expect(!line.takeBreak())
    line.cut(to: 1000, as: state.nextPin(), state.nextIdentity())
    _ = try line.append(command("SET", "k", "another value"), at: now())
    #expect(line.takeBreak() && !line.takeBreak())
    #expect(throws: LifeboatError.self) { try file.read(from: 500, to: 510) }
    let new = try #require(line.view(at: now().wall).aof.set?.increments.last?.file)
    #expect(new.pin != old.pin)
    #expect(new.identity != old.identity, "what was durable of the old one covers nothing")
    let again = LinkLog(part: try #require(line.part(new.pin)), line: line)
    #expect(try again.read(from: 500, to: 510).count == 10)
  }

  /// A newer copy was to begin after bytes that had not arrived when the primary failed.
  @Test func aCopyOfAHistoryThatEndedBeforeItDividesNothing() throws {
    let line = line()
    let newer = base(stored: nil)
    #expect(line.split(at: 1100, id: "a", newer, part(1100)))
    line.continued(id: "b", at: now())
    #expect(!line.hasNext && newer.isLost)
    let set = Array(repeating: command("SET", "k", "v"), count: 10).flatMap { $0 }
    _ = try line.append(set[...], at: now())
    #expect(
      line.view(at: now().wall).aof.set?.increments.map(\.file.size) == [500 + UInt64(set.count)])
  }

  /// The last log object of timeline 1 goes on to 700 with what the server lost in a failover. Timeline 2 has
  /// the server's history from 400 on, up to 500: what `line` continues after a restart.
  @Test func afterARestartWhatAForkLeftBehindIsNotCompared() throws {
    func span(_ from: UInt64, _ to: UInt64) -> LogSpan {
      let digest = ShortDigest(bytes: [UInt8](repeating: 1, count: 16))!
      return LogSpan(from: from, to: to, mark: now().wall, digest: digest)
    }
    let line = line()
    let value = String(repeating: "x", count: 300)
    _ = try line.append(command("SET", "k", value), at: now())
    let file = try #require(line.view(at: now().wall).aof.set?.increments.last?.file)
    let part = try #require(line.part(file.pin))
    #expect(file.size > 700)
    let shared = LogRange(.init(timeline: timeline, ordinal: 1, from: 0, to: 400))
    let spans = [span(0, 100), span(100, 700)]
    #expect(try line.agreement(part, size: file.size, with: spans, in: shared) == 100)
    #expect(try line.shared(part, size: file.size, with: spans[1], in: shared) == 400)
    #expect(!line.isStale)
    // Log that somebody has added since is neither proved nor in memory.
    let open = LogRange(.init(timeline: timeline, ordinal: 1, from: 0, to: nil))
    #expect(throws: LifeboatError.self) {
      try line.shared(part, size: file.size, with: spans[1], in: open)
    }
    #expect(line.isStale)
  }

  /// After a restart of a server, its backlog begins at the place where it took another id.
  @Test func whatCameBeforeAnotherIDIsUploaded() throws {
    let line = line()
    let ping = command("PING")
    _ = try line.append(ping, at: now())
    func shown() -> UInt64? { line.view(at: now().wall).aof.set?.increments.last?.file.size }
    line.continued(id: "a", at: now())
    #expect(shown() == 500)
    line.continued(id: "b", at: now())
    #expect(shown() == 500 + UInt64(ping.count))
    _ = try line.append(ping, at: now())
    #expect(shown() == 500 + UInt64(ping.count))
    line.confirm(try restorable(line, to: 1000 + UInt64(ping.count)), in: timeline)
    #expect(line.acknowledged == 1000 + UInt64(2 * ping.count))
  }

  @Test func aNewerCopyBeginsAfterWhatIsShown() throws {
    let line = line()
    let (first, second) = (command("SET", "k", "1"), command("SET", "k", "2"))
    let cut = 1000 + UInt64(first.count)
    line.holdBack()
    _ = try line.append(first, at: now(0))
    #expect(line.view(at: now().wall).aof.set?.increments.last?.file.size == 500)
    _ = try line.append(second, at: now(10))
    let newer = base(stored: nil)
    let next = part(cut)
    #expect(!line.split(at: cut, id: "other", newer, next))
    #expect(line.split(at: cut, id: "a", newer, next))
    line.showAll(at: now(20))
    let view = line.view(at: now().wall)
    #expect(
      view.aof.set?.increments.map(\.file.size) == [
        500 + UInt64(first.count), UInt64(second.count),
      ])
    // The shipper has to follow the new part before it may use the newer copy.
    #expect(view.aof.set?.base?.file.pin == line.base.file.pin)
    line.confirm(RestorableLog(pin: next.pin, offset: 0, base: nil), in: timeline)
    let then = line.view(at: now().wall)
    #expect(then.aof.set?.base?.file.pin == newer.file.pin && then.aof.set?.increments.count == 1)
    // What has been shown can't be cut any more.
    #expect(!line.split(at: cut, id: "a", base(stored: nil), part(cut)))
    // If its upload failed, the older copy stays, and there is no new copy until a shipper continues.
    #expect(line.isFollowed)
    line.abandonNext()
    #expect(!line.isFollowed)
    #expect(line.view(at: now().wall).aof.set?.increments.count == 2)
  }

  @Test func whatIsHeldIsBounded() throws {
    let line = line(held: 1 << 20)
    let value = String(repeating: "x", count: 100_000)
    while !line.isFull { _ = try line.append(command("SET", "k", value), at: now()) }
    #expect(line.pending >= 1 << 20 && line.pending < 2 << 20 && !line.hasRoom)
    line.confirm(try restorable(line, to: line.held!.offset), in: timeline)
    #expect(line.pending == 0 && line.hasRoom)
    let start = line.bytes(from: 0, to: 0).start
    // Only whole parts are released, so one more may be held.
    #expect(line.held!.offset - start <= (1 << 20) + 101_000)
  }
}
