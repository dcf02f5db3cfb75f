import BackupFormat
import BackupTypes
import HistoryLogic
import Synchronization
import Testing

@testable import WriterLogic

/// Each state of a writer, and the state after each event, or that the event must not happen.
@Suite struct WriterTests {
  private static let empty = CaptureView(at: at(0), dump: nil, aof: .absent)
  private static let scene = CompareScene()
  /// The same files after one more command.
  private static let changed: CaptureView = {
    var scene = CompareScene()
    scene.setLog(CompareScene.set + CompareScene.set + CompareScene.set + CompareScene.set)
    return scene.view
  }()
  private static let ours = Ownership(
    source: SourceName(given: "s"), instance: "i", directory: "d", takesOver: false)
  /// Another machine, which may not claim.
  private static let theirs = Ownership(
    source: SourceName(given: "s"), instance: "other", directory: "e", takesOver: false)

  private static func comparison(hasNews: Bool) -> Comparison {
    var made = Comparison(hasNews: hasNews, hasPoint: true)
    made.parent = .first
    made.end = (try? scene.history)?.contiguousEnd(of: .first, starts: [:])
    return made
  }

  /// A writer in each state, made by the events that lead to it.
  private enum Place: String, CaseIterable {
    case due, mayClaim, raced, ended, upToDate, standby, superseded, writing, blocked

    func make() throws -> Writer {
      let history = try WriterTests.scene.history
      let view = WriterTests.scene.view
      var writer = Writer(ownership: self == .standby ? WriterTests.theirs : WriterTests.ours)
      func compare(hasNews: Bool) {
        writer.handle(.saw(view), now: 0)
        writer.handle(
          .compared(view, WriterTests.comparison(hasNews: hasNews), history), now: 0)
      }
      func claim() {
        compare(hasNews: true)
        writer.handle(.claimed(LogicTests.claim(2)), now: 0)
      }
      switch self {
      case .due: break
      case .mayClaim, .standby: compare(hasNews: true)
      case .upToDate: compare(hasNews: false)
      case .writing: claim()
      case .raced:
        compare(hasNews: true)
        writer.handle(.raced, now: 0)
      case .ended:
        claim()
        writer.handle(.ended(.diverged("another file"), isAsked: true), now: 0)
      case .superseded:
        claim()
        writer.handle(.ended(.superseded("another claim"), isAsked: false), now: 0)
      case .blocked: writer.handle(.failed(LifeboatError(.failure, "no directory")), now: 0)
      }
      return writer
    }
  }

  private enum Happening: String, CaseIterable {
    case sawSame, sawChanged, sawNothing, lost, movedSame, movedOther, listed, grown
    case nothingNew, news, claimed, raced
    case stopped, superseded, diverged, failedWriting, illegal, failed

    func event() throws -> Writer.Event {
      let scene = WriterTests.scene
      let history = try scene.history
      switch self {
      case .sawSame: return .saw(scene.view)
      case .sawChanged: return .saw(WriterTests.changed)
      case .sawNothing: return .saw(WriterTests.empty)
      case .lost: return .lost
      case .movedSame: return .moved(WriterTests.theirs, isSame: true)
      case .movedOther: return .moved(WriterTests.theirs, isSame: false)
      case .listed: return .listed(history)
      case .grown:
        var other = scene
        other.addLog(from: 3 * CompareScene.step, CompareScene.set)
        return .listed(try other.history)
      case .nothingNew:
        return .compared(scene.view, WriterTests.comparison(hasNews: false), history)
      case .news: return .compared(scene.view, WriterTests.comparison(hasNews: true), history)
      case .claimed: return .claimed(claim(2))
      case .raced: return .raced
      case .stopped: return .ended(.stopped, isAsked: false)
      case .superseded: return .ended(.superseded("another claim"), isAsked: false)
      case .diverged: return .ended(.diverged("another file"), isAsked: false)
      case .failedWriting:
        return .ended(.failed(LifeboatError(.failure, "can't read")), isAsked: false)
      case .illegal: return .ended(.failed(IllegalTransition("twice")), isAsked: false)
      case .failed: return .failed(LifeboatError(.failure, "can't look"))
      }
    }
  }

  /// The next state and the actions. Nil if the event must not happen.
  private static func expected(_ place: Place, _ happening: Happening) -> (
    Writer.State.Name, Writer.Effect
  )? {
    let name: Writer.State.Name =
      switch place {
      case .due, .mayClaim, .raced, .ended: .comparing
      case .upToDate: .upToDate
      case .standby, .superseded: .standby
      case .writing: .writing
      case .blocked: .blocked
      }
    switch (place, happening) {
    case (.writing, .stopped), (.writing, .diverged), (.writing, .failedWriting):
      return (.comparing, .wait)
    case (.writing, .superseded): return (.standby, .wait)
    case (.writing, .illegal): return (.blocked, .wait)
    case (.writing, _): return nil
    case (_, .stopped), (_, .superseded), (_, .diverged), (_, .failedWriting), (_, .illegal):
      return nil
    case (_, .failed): return (.blocked, .wait)
    case (_, .sawNothing): return (.upToDate, .wait)
    case (.upToDate, .sawSame): return (.upToDate, .wait)
    case (.standby, .sawSame), (.standby, .sawChanged): return (.standby, .list)
    case (_, .sawSame), (_, .sawChanged): return (.comparing, .compare)
    case (.upToDate, .lost), (_, .movedOther): return (.comparing, .wait)
    case (_, .lost), (_, .movedSame): return (name, .wait)
    case (.standby, .listed): return (.standby, .wait)
    case (.standby, .grown), (.superseded, .listed), (.superseded, .grown):
      return (.comparing, .compare)
    case (.due, .nothingNew): return (.upToDate, .wait)
    case (.due, .news): return (.comparing, .claim)
    case (.mayClaim, .claimed): return (.writing, .ship)
    case (.mayClaim, .raced): return (.comparing, .wait)
    case (_, .listed), (_, .grown), (_, .nothingNew), (_, .news), (_, .claimed), (_, .raced):
      return nil
    }
  }

  @Test func `in each state each event leads where it should, or blocks`() throws {
    let noted = Notes()
    try Transitions.$observer.withValue(Transitions.Observer { noted.add($0) }) {
      try IllegalTransition.$traps.withValue(false) {
        for place in Place.allCases {
          for happening in Happening.allCases {
            var writer = try place.make()
            let effect = writer.handle(try happening.event(), now: 20_000)
            let found = "\(place) \(happening): \(writer.state.name), \(effect)"
            guard let (name, next) = WriterTests.expected(place, happening) else {
              guard case .blocked(let error) = writer.state, effect == .wait else {
                Issue.record("\(found), and must not happen")
                continue
              }
              #expect(error.cause?.contains("a writer that is") ?? false, "\(found)")
              #expect(writer.wait(at: 20_000) == .atMost(15_000))
              continue
            }
            #expect(writer.state.name == name && effect == next, "\(found)")
          }
        }
      }
    }
    let listed = Writer.changes.flatMap { from, changes in
      changes.map { Transitions.text("writer", from.rawValue, $0.rawValue) }
    }
    let counted = noted.all.filter { $0.hasPrefix("writer: ") }
    #expect(counted.isSuperset(of: listed), "\(Set(listed).subtracting(counted))")
  }

  @Test func `how long each state waits`() throws {
    #expect(try Place.raced.make().wait(at: 0) == .atMost(500))
    #expect(try Place.standby.make().wait(at: 4000) == .atMost(11_000))
    #expect(try Place.upToDate.make().wait(at: 0) == .change)
    for place in [Place.ended, .superseded] {
      guard case .pause = try place.make().wait(at: 0) else {
        Issue.record("\(place): \(try place.make().wait(at: 0))")
        continue
      }
    }
  }

  /// In standby, writes of Redis wake the writer, but are no reason for another request to the store.
  @Test(arguments: [(false, 15_000), (true, 2000)])
  func `one in standby lists at its pace, however often it looks`(isEnding: Bool, pace: Int64)
    throws
  {
    var writer = try Place.standby.make()
    writer.isEnding = isEnding
    let history = try WriterTests.scene.history
    var listings: [Int64] = []
    for now in stride(from: 200 as Int64, through: 60_000, by: 200) {
      let view = now.isMultiple(of: 400) ? WriterTests.scene.view : WriterTests.changed
      switch writer.handle(.saw(view), now: now) {
      case .wait: continue
      case .list:
        listings.append(now)
        #expect(writer.handle(.listed(history), now: now) == .wait)
      default: Issue.record("at \(now): \(writer.state.name)")
      }
    }
    #expect(listings == Array(stride(from: pace, through: 60_000, by: Int(pace))))
  }

  @Test func `one that is blocked tries again at its pace, however often it looks`() throws {
    var writer = try Place.blocked.make()
    var tries: [Int64] = []
    for now in stride(from: 200 as Int64, through: 10_000, by: 200)
    where writer.handle(.saw(WriterTests.changed), now: now) == .compare {
      tries.append(now)
      writer.handle(.failed(LifeboatError(.failure, "no directory")), now: now)
    }
    #expect(tries == [2000, 4000, 6000, 8000, 10_000])
  }

  @Test func `a timeline that ended with a question is watched until the next claim`() throws {
    var writer = try Place.ended.make()
    #expect(writer.isWatched)
    let (view, history) = (WriterTests.scene.view, try WriterTests.scene.history)
    writer.handle(.saw(view), now: 1)
    writer.handle(.compared(view, WriterTests.comparison(hasNews: true), history), now: 1)
    #expect(writer.isWatched)
    writer.handle(.claimed(claim(3)), now: 1)
    #expect(!writer.isWatched)
  }

  /// The owner of a deleted claim may still be writing.
  @Test func `a number that was seen taken is not used again`() throws {
    var writer = try Place.writing.make()
    #expect(writer.nextNumber?.value == 3)
    writer.handle(.ended(.diverged("the claim is missing"), isAsked: false), now: 1)
    writer.handle(.saw(WriterTests.scene.view), now: 2)
    let history = try WriterTests.scene.history
    #expect(history.highestNumber?.value == 1)
    writer.handle(
      .compared(WriterTests.scene.view, WriterTests.comparison(hasNews: true), history), now: 2)
    #expect(writer.nextNumber?.value == 3)
  }

  @Test func `who stands by claims when the owner's clean end has stood for a while`() throws {
    var writer = Writer(ownership: WriterTests.theirs)
    let (view, history) = (WriterTests.scene.view, try WriterTests.scene.history)
    var clean = WriterTests.comparison(hasNews: true)
    clean.isClean = true
    writer.handle(.saw(view), now: 0)
    #expect(writer.handle(.compared(view, clean, history), now: 0) == .wait)
    writer.handle(.saw(view), now: Ownership.courtesy - 1)
    #expect(writer.handle(.listed(history), now: Ownership.courtesy - 1) == .wait)
    writer.handle(.saw(view), now: Ownership.courtesy)
    #expect(writer.handle(.listed(history), now: Ownership.courtesy) == .compare)
    #expect(
      writer.handle(.compared(view, clean, history), now: Ownership.courtesy) == .claim)
  }
}

/// Collects lines from any thread.
private final class Notes: Sendable {
  private let lines = Mutex<Set<String>>([])
  func add(_ line: String) { _ = lines.withLock { $0.insert(line) } }
  var all: Set<String> { lines.withLock { $0 } }
}
