import BackupTypes
import HistoryLogic
import RedisFormats
import Testing

/// What a data directory contains, from the view of a server that starts on it (design 6.1).
@Suite struct DataVerdictTests {
  private enum Expected { case empty, data, broken }
  private typealias Content = DataFacts.Content

  private func facts(
    dump: Content = .absent, legacy: Content = .absent, manifest: DataFacts.Manifest = .absent,
    files: [String: Content] = [:]
  ) -> DataFacts {
    var facts = DataFacts()
    (facts.dump, facts.legacy, facts.manifest, facts.files) = (dump, legacy, manifest, files)
    return facts
  }
  private let manifest = DataFacts.Manifest.valid(
    AOFManifest(entries: [
      .init(file: "b", sequence: 1, kind: .base), .init(file: "h", sequence: 1, kind: .history),
      .init(file: "i", sequence: 1, kind: .increment),
    ]))
  private let bad = Content.broken("it is torn")

  private func expect(
    _ what: String, _ facts: DataFacts, unknown: Expected, yes: Expected, no: Expected
  ) {
    for (setting, expected) in [(AppendOnly.unknown, unknown), (.yes, yes), (.no, no)] {
      let found: Expected
      switch DataVerdict.judge(facts, appendOnly: setting) {
      case .empty: found = .empty
      case .data: found = .data
      case .broken(let reason, let remedy):
        found = .broken
        #expect(!reason.isEmpty && !remedy.isEmpty, "\(what): it says what to do")
      }
      #expect(found == expected, "\(what), appendonly \(setting)")
    }
  }

  @Test func `nothing that a server would load as data is empty`() {
    let empty: [String: Content] = ["b": .empty, "i": .empty]
    expect("nothing at all", facts(), unknown: .empty, yes: .empty, no: .empty)
    expect("a dump without keys", facts(dump: .empty), unknown: .empty, yes: .empty, no: .empty)
    expect("a zero-length AOF", facts(legacy: .empty), unknown: .empty, yes: .empty, no: .empty)
    expect(
      "the empty BASE of a server that once started", facts(manifest: manifest, files: empty),
      unknown: .empty, yes: .empty, no: .empty)
    expect(
      "empty files without a manifest", facts(files: empty), unknown: .empty, yes: .empty,
      no: .empty)
    expect(
      "a manifest that names nothing", facts(manifest: .valid(AOFManifest(entries: []))),
      unknown: .empty, yes: .empty, no: .empty)
  }

  @Test func `data counts in either form, and only the form that the server would load`() {
    expect("a dump", facts(dump: .data), unknown: .data, yes: .broken, no: .data)
    expect("a legacy AOF", facts(legacy: .data), unknown: .data, yes: .data, no: .broken)
    for name in ["b", "i"] {
      var files: [String: Content] = ["b": .empty, "i": .empty]
      files[name] = .data
      expect(
        "an AOF with data in \(name)", facts(manifest: manifest, files: files), unknown: .data,
        yes: .data, no: .broken)
      expect(
        "both", facts(dump: .data, manifest: manifest, files: files), unknown: .data, yes: .data,
        no: .data)
      expect(
        "both, the dump empty", facts(dump: .empty, manifest: manifest, files: files),
        unknown: .data, yes: .data, no: .broken)
    }
    expect(
      "a dump beside an empty AOF",
      facts(
        dump: .data, manifest: manifest,
        files: ["b": .empty, "i": .empty]), unknown: .data, yes: .broken, no: .data)
  }

  @Test func `what Redis would not load, or would load as empty, is broken and never skipped`() {
    expect(
      "a zero-length manifest", facts(manifest: .broken("empty")), unknown: .broken, yes: .broken,
      no: .broken)
    expect(
      "INCRs without a manifest", facts(files: ["i": .data]), unknown: .broken, yes: .broken,
      no: .broken)
    expect(
      "a damaged INCR without a manifest", facts(files: ["i": bad]), unknown: .broken,
      yes: .broken, no: .broken)
    expect(
      "a file of the manifest is missing", facts(manifest: manifest, files: ["b": .data]),
      unknown: .broken, yes: .broken, no: .broken)
    expect(
      "a damaged BASE", facts(manifest: manifest, files: ["b": bad, "i": .data]),
      unknown: .broken, yes: .broken, no: .broken)
    expect("a damaged dump", facts(dump: bad), unknown: .broken, yes: .broken, no: .broken)
    expect("a damaged legacy AOF", facts(legacy: bad), unknown: .broken, yes: .broken, no: .broken)
  }

  @Test func `what nobody can read is data, said as a warning, and keeps no server from starting`()
  {
    let new = Content.unknown("it is new")
    expect("a dump", facts(dump: new), unknown: .data, yes: .broken, no: .data)
    expect("a legacy AOF", facts(legacy: new), unknown: .data, yes: .data, no: .broken)
    for name in ["b", "i"] {
      var files: [String: Content] = ["b": .empty, "i": .empty]
      files[name] = new
      let made = facts(manifest: manifest, files: files)
      expect("an AOF with \(name)", made, unknown: .data, yes: .data, no: .broken)
      #expect(made.warnings.count == 1 && made.warnings[0].contains("it is new"))
    }
    // It was saved by a server that loads its AOF, so it may be without keys, like the AOF.
    let beside = facts(dump: new, manifest: manifest, files: ["b": .empty, "i": .empty])
    expect("beside an empty AOF", beside, unknown: .data, yes: .data, no: .data)
    #expect(facts(dump: .data, manifest: manifest, files: ["b": .data]).warnings.isEmpty)
  }

  @Test func `a history file matters to nobody`() {
    for content in [.absent, .empty, bad] as [Content] {
      expect(
        "history \(content)",
        facts(manifest: manifest, files: ["b": .data, "i": .empty, "h": content]),
        unknown: .data, yes: .data, no: .broken)
    }
  }

  @Test func `with a manifest a stray legacy AOF is ignored; without one it is adopted`() {
    let empty: [String: Content] = ["b": .empty, "i": .empty]
    for legacy in [.data, bad] as [Content] {
      expect(
        "beside a manifest", facts(legacy: legacy, manifest: manifest, files: empty),
        unknown: .empty, yes: .empty, no: .empty)
    }
    expect(
      "beside a broken manifest", facts(legacy: .data, manifest: .broken("x")), unknown: .broken,
      yes: .broken, no: .broken)
  }

  @Test func `hostile names are printed safely`() {
    let named = AOFManifest(entries: [.init(file: "\u{1b}[2J", sequence: 1, kind: .base)])
    for facts in [facts(manifest: .valid(named)), facts(files: ["\u{1b}[2J": .data])] {
      guard case .broken(let reason, _) = DataVerdict.judge(facts, appendOnly: .unknown) else {
        Issue.record("not broken")
        continue
      }
      #expect(!reason.unicodeScalars.contains { $0.value < 0x20 })
    }
  }

  /// For every combination of facts, the verdicts for the three settings are consistent.
  @Test func `no combination with data in what a server loads is called empty`() {
    let contents: [Content] = [.absent, .empty, .data, .unknown("new"), bad]
    let manifests = [DataFacts.Manifest.absent, manifest, .broken("x")]
    for dump in contents {
      for legacy in contents {
        for made in manifests {
          for base in contents {
            for increment in contents {
              let all = facts(
                dump: dump, legacy: legacy, manifest: made, files: ["b": base, "i": increment])
              let unknown = DataVerdict.judge(all, appendOnly: .unknown)
              let yes = DataVerdict.judge(all, appendOnly: .yes)
              let no = DataVerdict.judge(all, appendOnly: .no)
              if yes == .empty && no == .empty { #expect(unknown == .empty, "\(all)") }
              if unknown == .empty { #expect(yes == .empty && no == .empty, "\(all)") }
              if dump == .data { #expect(no == .data("dump.rdb") && yes != .empty, "\(all)") }
              if case .data = yes { #expect(no != .empty, "\(all)") }
            }
          }
        }
      }
    }
  }
}
