import BackupTypes
import HistoryLogic
import RedisFormats
import Testing

/// What a server does with a directory, as tested with Redis 6.2 to 8.2 and Valkey 9.1.
@Suite struct ServerStartTests {
  private enum Expected { case loads, startsEmpty, ignores, refuses }
  private typealias Content = DataFacts.Content

  private func facts(_ change: (inout DataFacts) -> Void) -> DataFacts {
    var facts = DataFacts()
    change(&facts)
    return facts
  }

  private let manifest = DataFacts.Manifest.valid(
    AOFManifest(entries: [
      .init(file: "b", sequence: 1, kind: .base), .init(file: "h", sequence: 1, kind: .history),
      .init(file: "i", sequence: 1, kind: .increment),
    ]))

  private func expect(_ what: String, _ facts: DataFacts, yes: Expected, no: Expected) {
    for (appendOnly, expected) in [(true, yes), (false, no)] {
      let start = ServerStart.judge(facts, names: ServerNames(), appendOnly: appendOnly)
      let found: Expected
      switch start {
      case .loads: found = .loads
      case .startsEmpty(nil): found = .startsEmpty
      case .startsEmpty: found = .ignores
      case .refuses(let reason, let remedy):
        found = .refuses
        #expect(!reason.isEmpty && remedy.contains("restore"), "\(what)")
      }
      #expect(found == expected, "\(what), appendonly \(appendOnly): \(start.words)")
    }
  }

  @Test func `only what a server refuses is called so`() {
    expect("nothing", facts { _ in }, yes: .startsEmpty, no: .startsEmpty)
    expect("a dump", facts { $0.dump = .data }, yes: .ignores, no: .loads)
    expect("an empty dump", facts { $0.dump = .empty }, yes: .startsEmpty, no: .startsEmpty)
    expect("a broken dump", facts { $0.dump = .broken("x") }, yes: .startsEmpty, no: .refuses)
    expect("a single AOF", facts { $0.legacy = .data }, yes: .loads, no: .ignores)
    expect(
      "a zero-length single AOF", facts { $0.legacy = .empty }, yes: .startsEmpty,
      no: .startsEmpty)
    expect(
      "a broken single AOF", facts { $0.legacy = .broken("x") }, yes: .refuses, no: .startsEmpty)
    expect(
      "files that no manifest names", facts { $0.files = ["i": .data] }, yes: .ignores,
      no: .ignores)
    expect(
      "the same beside a dump",
      facts {
        $0.files = ["i": .data]
        $0.dump = .data
      }, yes: .ignores, no: .loads)
  }

  @Test func `an AOF is loaded whole or not at all`() {
    func aof(_ base: Content, _ increment: Content, dump: Content = .absent) -> DataFacts {
      facts {
        ($0.manifest, $0.dump) = (manifest, dump)
        $0.files = ["b": base, "i": increment]
      }
    }
    expect("data in both", aof(.data, .data), yes: .loads, no: .ignores)
    expect("data in one", aof(.empty, .data), yes: .loads, no: .ignores)
    expect("no data", aof(.empty, .empty), yes: .startsEmpty, no: .startsEmpty)
    expect("no data, and a dump", aof(.empty, .empty, dump: .data), yes: .ignores, no: .loads)
    expect("the BASE is missing", aof(.absent, .data), yes: .refuses, no: .ignores)
    expect("a broken INCR", aof(.data, .broken("x")), yes: .refuses, no: .ignores)
    expect(
      "a broken manifest, and a dump",
      facts {
        ($0.manifest, $0.dump) = (.broken("x"), .data)
      }, yes: .refuses, no: .loads)
    expect(
      "a single AOF beside a manifest is ignored",
      facts {
        ($0.manifest, $0.legacy) = (manifest, .broken("x"))
        $0.files = ["b": .data, "i": .empty]
      }, yes: .loads, no: .ignores)
  }

  @Test func `the names are those that Redis was said to use`() {
    var names = ServerNames()
    (names.dump, names.appendFile, names.appendDirectory) = ("d.rdb", "a.aof", "dir")
    let dump = ServerStart.judge(
      facts { $0.dump = .broken("it is torn") }, names: names, appendOnly: false)
    #expect(dump.words.contains("d.rdb can't be loaded: it is torn"))
    let manifest = ServerStart.judge(
      facts { $0.manifest = .broken("line 1: x") }, names: names, appendOnly: true)
    #expect(manifest.words.contains("dir/a.aof.manifest is invalid: line 1: x"))
  }
}
