import BackupTypes
import HistoryLogic
import RedisFormats
import Testing

/// Each possible problem of a data directory has a line that says what to do. Nothing else is called a
/// problem.
@Suite struct DirectoryDiagnosisTests {
  private func findings(
    _ setting: AppendOnly = .unknown, names: ServerNames = ServerNames(),
    _ change: (inout DirectorySight) -> Void
  ) -> [Finding] {
    var sight = DirectorySight()
    change(&sight)
    let found = DirectoryDiagnosis(sight, names: names, appendOnly: setting).findings
    for finding in found {
      let isBad = finding.verdict > .ok
      #expect(
        (finding.consequence != nil) == isBad && (finding.remedy != nil) == isBad, "\(finding)")
    }
    return found
  }

  private func one(_ check: String, _ findings: [Finding]) -> Finding? {
    let found = findings.filter { $0.check == check }
    #expect(found.count == 1, "\(check): \(findings)")
    return found.first
  }

  private let manifest = DataFacts.Manifest.valid(
    AOFManifest(entries: [
      .init(file: "b", sequence: 1, kind: .base), .init(file: "i", sequence: 1, kind: .increment),
    ]))

  private func aof(_ sight: inout DirectorySight, last: DataFacts.Content = .data) {
    sight.data.manifest = manifest
    sight.data.files = ["b": .data, "i": last]
    sight.hasAppendDirectory = true
  }

  // MARK: What would load

  @Test func `an empty directory is neither good nor bad`() {
    #expect(findings { _ in }.map(\.verdict) == [.note])
    #expect(findings(.no) { _ in }.map(\.verdict) == [.note])
    let first = findings(.yes) { _ in }
    #expect(first.map(\.verdict) == [.note, .note], "\(first)")
    #expect(one("aof-directory", first)?.detail.contains("creates it at its first start") == true)
  }

  @Test func `what one setting alone loads is a warning, until the setting is known`() {
    #expect(one("content", findings { $0.data.dump = .data })?.verdict == .warning)
    #expect(one("content", findings(.no) { $0.data.dump = .data })?.verdict == .ok)
    let lost = findings(.yes) { $0.data.dump = .data }
    #expect(one("content", lost)?.verdict == .failed, "\(lost)")
    #expect(one("content", lost)?.detail.contains("starts EMPTY: it ignores dump.rdb") == true)
    #expect(one("aof-directory", lost)?.detail.contains("there is no appendonlydir") == true)
    #expect(findings(.yes) { aof(&$0) }.map(\.verdict) == [.ok])
  }

  @Test func `a Redis that can start is never said not to`() {
    // Only an AOF, as with every server with appendonly yes.
    for setting in AppendOnly.allCases {
      for found in findings(setting, { aof(&$0) }) {
        #expect(!found.detail.contains("can't start") && !found.detail.contains("does not start"))
      }
    }
    let unnamed = findings(.yes) {
      $0.data.files = ["i": .data]
      $0.hasAppendDirectory = true
    }
    #expect(one("content", unnamed)?.detail.contains("starts EMPTY") == true, "\(unnamed)")
    #expect(one("aof-directory", unnamed)?.verdict == .failed)
    // A broken dump beside an AOF only stops a server that reads it.
    let beside = findings {
      aof(&$0)
      $0.data.dump = .broken("it is torn")
    }
    #expect(one("content", beside)?.verdict == .warning, "\(beside)")
    let known = findings(.yes) {
      aof(&$0)
      $0.data.dump = .broken("it is torn")
    }
    #expect(known.map(\.verdict) == [.ok], "\(known)")
  }

  @Test func `a log that a server refuses fails, and says how to go on`() throws {
    let reason = "after its last command, at offset 50, it ends in 6 NUL bytes"
    for setting in [AppendOnly.unknown, .yes] {
      let found = findings(setting) { aof(&$0, last: .broken(reason)) }
      let content = try #require(one("content", found))
      #expect(content.verdict == .failed && content.code == .corrupt && found.count == 1)
      #expect(content.detail.contains("does not start: i can't be loaded: \(reason)"), "\(content)")
      #expect(
        content.remedy?.contains("redis-check-aof --fix appendonlydir/appendonly.aof.manifest")
          == true)
      #expect(content.remedy?.contains("redis-cli BGREWRITEAOF") == true)
    }
    let off = findings(.no) { aof(&$0, last: .broken(reason)) }
    #expect(off[0].verdict == .failed && off[0].detail.contains("ignores the AOF"), "\(off)")
  }

  // MARK: The AOF directory

  @Test func `an AOF directory that is missing is found by what was left, or by the setting`() {
    let temporary = findings { $0.temporary = ["temp-rewriteaof-7.aof"] }
    let left = one("leftovers", temporary)
    #expect(left?.verdict == .warning && left?.detail.contains("temp-rewriteaof-7.aof") == true)
    let said = one("aof-directory", findings(.yes) { $0.temporary = ["temp-7.rdb"] })
    #expect(said?.verdict == .warning && said?.remedy?.contains("BGREWRITEAOF") == true)
    let renamed = findings(.yes) {
      $0.foreign = [
        .init(
          .aof(directory: "appendonlydir.old", file: "appendonly.aof"),
          path: "appendonlydir.old/appendonly.aof.manifest", isYounger: true)
      ]
    }
    #expect(one("aof-directory", renamed)?.verdict == .warning)
    #expect(
      one("names", renamed)?.remedy == "if Redis writes it, pass --appenddirname appendonlydir.old")
    #expect(one("names", renamed)?.verdict == .failed)
  }

  @Test func `an AOF directory without its manifest`() {
    let found = findings { $0.hasAppendDirectory = true }
    #expect(one("aof-directory", found)?.verdict == .warning)
    let adopted = findings(.yes) {
      $0.hasAppendDirectory = true
      $0.data.legacy = .data
    }
    #expect(adopted.map(\.verdict) == [.ok], "Redis 7 adopts a single AOF: \(adopted)")
    #expect(findings(.no) { $0.hasAppendDirectory = true }.map(\.verdict) == [.note])
  }

  // MARK: Other names

  @Test func `other names name the flag, and fail where nothing else is there`() {
    let kinds: [(DirectorySight.Foreign.Kind, String, String)] = [
      (.dump, "snapshot.rdb", "--dbfilename snapshot.rdb"),
      (.log, "my.aof", "--appendfilename my.aof"),
      (
        .aof(directory: "appendonlydir", file: "my.aof"), "appendonlydir/my.aof.manifest",
        "--appendfilename my.aof"
      ),
      (
        .aof(directory: "logs", file: "my.aof"), "logs/my.aof.manifest",
        "--appenddirname logs --appendfilename my.aof"
      ),
    ]
    for (kind, path, flags) in kinds {
      let alone = one(
        "names", findings { $0.foreign = [.init(kind, path: path, isYounger: true)] })
      #expect(alone?.verdict == .failed && alone?.code == .failure, "\(String(describing: alone))")
      #expect(alone?.remedy == "if Redis writes it, pass \(flags)")
      let younger = one(
        "names",
        findings {
          aof(&$0)
          $0.foreign = [.init(kind, path: path, isYounger: true)]
        })
      #expect(younger?.verdict == .warning && younger?.remedy?.contains(flags) == true)
      let older = one(
        "names",
        findings {
          aof(&$0)
          $0.foreign = [.init(kind, path: path, isYounger: false)]
        })
      #expect(older?.verdict == .note, "a copy that somebody keeps is nothing bad")
    }
  }

  @Test func `a thousand copies are a few lines, and hostile names are printed safely`() {
    let many = findings {
      aof(&$0)
      $0.foreign = (0..<900).map { .init(.dump, path: "\u{1b}[2J\($0)", isYounger: false) }
      ($0.hasMoreNames, $0.unreadBytes) = (true, 5 << 30)
    }
    #expect(many.filter { $0.check == "names" }.count == DirectoryDiagnosis.foreignMax + 1)
    #expect(many.contains { $0.detail.hasPrefix("895 more") })
    #expect(many.filter { $0.check == "unread" }.count == 2)
    for finding in many {
      #expect(finding.detail.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(finding)")
    }
  }

  /// For every combination of facts, verdict, text and exit code are consistent.
  @Test func `no combination is ok without something that loads`() {
    let contents: [DataFacts.Content] = [.absent, .empty, .data, .broken("it is torn")]
    for setting in AppendOnly.allCases {
      for dump in contents {
        for legacy in contents {
          for made in [DataFacts.Manifest.absent, manifest, .broken("x")] {
            for last in contents {
              let found = findings(setting) {
                $0.data.dump = dump
                $0.data.legacy = legacy
                $0.data.manifest = made
                $0.data.files = ["b": .empty, "i": last]
                $0.hasAppendDirectory = true
              }
              let content = found[0]
              if content.verdict == .ok { #expect(content.detail.contains("loads"), "\(found)") }
              if content.verdict == .note { #expect(!content.detail.contains("EMPTY"), "\(found)") }
              if content.detail.contains("does not start") {
                #expect(content.verdict > .ok, "\(found)")
              }
            }
          }
        }
      }
    }
  }
}
