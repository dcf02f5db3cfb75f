import BackupTypes
import Glibc
import HistoryLogic
import Recovery
import RepositoryAccess
import Synchronization
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// A journal is a file on the user's volume, so it is only followed if the files agree with it. Also: a
/// failed rename is undone.
@Suite struct RestoreJournalTests {
  // MARK: Planted

  /// What may be in place of a journal or of the files that it names.
  enum Planted: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case garbage, empty, directory, fifo, unknownPhase, earlierRelease, foreignName, ownName
    case noStaging, fileAsStaging, linkAsStaging, linkAsFiles, stagedWithoutJournal
    var testDescription: String { rawValue }
  }

  private static let marker = """
    {"end":{"ordinals":[],"snapshots":1},"instant":"2026-11-01T00:00:00.000Z",\
    "isDeliberate":false,"newest":1,"point":"1.1","repository":"\
    00000000000000000000000000000000","restoredAt":"2026-11-01T00:00:00.000Z"}
    """
  /// As release 0.1.0 wrote it.
  private static func journal(_ phase: String, aside: String, _ name: String) -> String {
    """
    {"aside":"\(aside)","marker":\(marker),"movedAside":["\(name)"],"movedIn":["\(name)"],\
    "phase":"\(phase)","point":"1.1"}
    """
  }

  private func plant(_ planted: Planted, in data: String, outside: String) throws {
    let staging = data + "/.lifeboat-restore"
    let journal = staging + "/journal.json"
    switch planted {
    case .fileAsStaging:
      try TestFiles.write("x", to: staging)
      return
    case .linkAsStaging:
      try #require(symlink(outside, staging) == 0)
      return
    default: try TestFiles.makeDirectory(staging)
    }
    if planted == .linkAsFiles {
      try #require(symlink(outside, staging + "/files") == 0)
      try TestFiles.write(Self.journal("staging", aside: "x", "dump.rdb"), to: journal)
      return
    }
    if planted != .noStaging {
      try TestFiles.makeDirectory(staging + "/files")
      try TestFiles.write("planted", to: staging + "/files/dump.rdb")
    }
    switch planted {
    case .garbage, .noStaging: try TestFiles.write("{\"phase\":\"committ", to: journal)
    case .empty: try TestFiles.write("", to: journal)
    case .directory: try TestFiles.makeDirectory(journal)
    case .fifo: #expect(mkfifo(journal, 0o600) == 0)
    case .unknownPhase:
      try TestFiles.write(
        Self.journal("dreaming", aside: ".lifeboat-replaced", "dump.rdb"), to: journal)
    case .earlierRelease:
      try TestFiles.write(
        Self.journal("committing", aside: ".lifeboat-replaced", "dump.rdb"), to: journal)
    case .foreignName:
      try TestFiles.write(
        Self.journal("committing", aside: "../outside", "../outside/precious"), to: journal)
    case .ownName:
      try TestFiles.write(
        Self.journal("committing", aside: "appendonlydir", "dump.rdb"), to: journal)
    case .fileAsStaging, .linkAsStaging, .linkAsFiles, .stagedWithoutJournal: break
    }
  }

  @Test(arguments: Planted.allCases)
  func `a planted journal is not followed, and never in the way`(planted: Planted) async throws {
    let scene = try await RestoreScene()
    let outside = try scene.folder.makeDirectory("outside")
    try TestFiles.write("precious", to: outside + "/precious")
    func expectNothingElse(_ words: String) throws {
      #expect(try files(outside) == ["precious": Array("precious".utf8)], "\(words)")
    }
    // An empty volume is filled with the requested data.
    for (asks, wanted) in [
      (RestoreScene.ifEmpty, scene.newest), (RestoreScene.another, scene.earlier),
    ] {
      let data = try scene.directory(.nothing)
      try plant(planted, in: data, outside: outside)
      let notes = Mutex<[String]>([])
      let report = try await scene.restore(
        data, asks,
        notes: { note in
          notes.withLock { $0.append(note) }
        })
      guard case .restored = report.outcome else {
        Issue.record("\(planted): \(report)")
        continue
      }
      #expect(try visible(data) == wanted, "\(planted)")
      #expect(!TestFiles.exists(data + "/.lifeboat-restore"), "\(planted)")
      try expectNothingElse("\(planted)")
      #expect(report.interrupted?.result == .notFollowed, "\(planted): \(report)")
      #expect(
        notes.withLock { $0.joined() }.contains("ignored"), "\(planted): nothing was said")
      // Its staged files are moved aside and kept.
      let aside = try #require(report.interrupted?.movedAside, "\(planted)")
      #expect(aside.hasPrefix(".lifeboat-debris-") && TestFiles.exists(data + "/" + aside))
    }
    // On a volume with data, the data stays.
    let data = try scene.directory(.data)
    let before = RestoreScene.visibleContent(.data)
    for asks in [RestoreScene.ifEmpty, RestoreScene.nothing, RestoreScene.another] {
      try plant(planted, in: data, outside: outside)
      do {
        let report = try await scene.restore(data, asks)
        guard case .dataPresent = report.outcome else {
          Issue.record("\(planted): \(report)")
          continue
        }
      } catch let error as LifeboatError {
        #expect(error.code == .refused && error.message.contains("holds data"), "\(error)")
      }
      #expect(try visible(data) == before, "\(planted)")
      try expectNothingElse("\(planted)")
    }
  }

  // MARK: Contradicted

  enum Contradiction: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case flippedBit, missingFile, missingDirectory, added, journalSaysAnother
    var testDescription: String { rawValue }
  }

  @Test(arguments: Contradiction.allCases, [true, false])
  func `a journal that its files contradict is not followed`(
    contradiction: Contradiction, replaces: Bool
  ) async throws {
    let scene = try await RestoreScene()
    let before = replaces ? RestoreScene.Before.data : .nothing
    let asked = replaces ? RestoreScene.replacing : RestoreScene.nothing
    let steps = try await scene.steps(try scene.directory(before), asked)
    // Stopped before the first rename, or with the dump in place but not the AOF.
    let middle = try #require(steps.firstIndex(of: .placeMarker))
    for stop in [0, middle] {
      let data = try scene.directory(before)
      try await scene.crash(data, asked, before: stop)
      let staging = data + "/.lifeboat-restore"
      let log = staging + "/files/appendonlydir/a.1.incr.aof"
      switch contradiction {
      case .flippedBit:
        var bytes = try TestFiles.read(log)
        bytes[10] ^= 1
        try TestFiles.write(bytes, to: log)
      case .missingFile: TestFiles.remove(log)
      case .missingDirectory: TestFiles.remove(staging + "/files/appendonlydir")
      case .added: try TestFiles.write("x", to: staging + "/files/appendonlydir/b")
      case .journalSaysAnother:
        let text = try TestFiles.text(staging + "/journal.json")
        try TestFiles.write(
          text.replacing("\"path\":\"dump.rdb\"", with: "\"path\":\"damp.rdb\""),
          to: staging + "/journal.json")
      }
      let words = "\(contradiction) behind \(stop) of \(steps)"
      let report = try await scene.restore(data, RestoreScene.ifEmpty)
      let found = try visible(data)
      let isOld = replaces && found == RestoreScene.visibleContent(.data)
      if contradiction == .journalSaysAnother {
        // The journal is ignored. The files that were already moved stay where they are.
        #expect(report.interrupted?.result == .notFollowed, "\(words): \(report)")
        continue
      }
      #expect(found == scene.newest || isOld, "\(words): \(report)")
      #expect(report.interrupted?.result != .finished, "\(words): \(report)")
      #expect(!TestFiles.exists(staging), "\(words)")
    }
  }

  // MARK: Renames that fail

  @Test(arguments: RestoreScene.Before.allCases)
  func `a rename that fails is undone, whichever it is`(before: RestoreScene.Before) async throws {
    let scene = try await RestoreScene()
    let asked = before.replaces ? RestoreScene.replacing : RestoreScene.nothing
    let steps = try await scene.steps(try scene.directory(before), asked)
    for (index, failing) in steps.enumerated() {
      let data = try scene.directory(before)
      let (whole, names) = (try files(data), TestFiles.list(data))
      let busy = LifeboatError(
        .failure, "can't rename \(failing)", cause: "Device or resource busy", hint: "unmount it")
      var failure: LifeboatError?
      do {
        let report = try await scene.restore(data, asked) { step, body in
          if step == failing { throw busy }
          try body()
        }
        guard case .restored(let plan, _) = report.outcome else {
          Issue.record("\(failing): \(report)")
          continue
        }
        // Only the clean-up may fail.
        #expect(failing == .end, "\(failing)")
        #expect(plan.warnings.contains { $0.contains(".lifeboat-restore") }, "\(plan.warnings)")
        #expect(try visible(data) == scene.newest)
      } catch let error as LifeboatError {
        failure = error
        #expect(try files(data) == whole, "\(failing)")
        #expect(TestFiles.list(data) == names, "\(failing)")
      }
      if let failure {
        #expect(failure.code == .failure && failure.message.contains("rename"), "\(failure)")
        #expect(failure.hint?.contains("unmount") ?? false, "\(failure)")
        #expect(failure.hint?.contains("unchanged") ?? false, "\(failure)")
      }
      // After the cause is gone, the restore succeeds.
      _ = try? await scene.restore(data, asked)
      #expect(try visible(data) == scene.newest, "\(failing), step \(index)")
    }
  }

  @Test func `an undoing that fails as well says what to do, and the next run does it`()
    async throws
  {
    let scene = try await RestoreScene()
    let data = try scene.directory(.data)
    let busy = LifeboatError(.failure, "can't rename it", cause: "Device or resource busy")
    let isStuck = Mutex(false)
    do {
      _ = try await scene.restore(data, RestoreScene.replacing) { step, body in
        let fails = isStuck.withLock { isStuck in
          if step == .placeMarker { isStuck = true }
          return isStuck
        }
        if fails { throw busy }
        try body()
      }
      Issue.record("it went through")
    } catch let error as LifeboatError {
      #expect(error.hint?.contains("run restore again") ?? false, "\(error)")
    }
    _ = try await scene.restore(data, RestoreScene.replacing, offline: true)
    #expect(try visible(data) == scene.newest)
    #expect(try visible(data, in: ".lifeboat-replaced") == RestoreScene.visibleContent(.data))
  }

  // MARK: Two at once

  @Test func `a second restore at the same time is refused, and touches nothing`() async throws {
    let scene = try await RestoreScene()
    let data = try scene.directory(.nothing)
    let refusals = Mutex<[LifeboatError]>([])
    let (started, start) = AsyncStream<Void>.makeStream()
    let first = Task {
      try await scene.restore(data, RestoreScene.nothing) { _, body in
        start.yield()
        // Stay in the middle until the other restore has started.
        while refusals.withLock({ $0.isEmpty }) { usleep(1000) }
        try body()
      }
    }
    for await _ in started.prefix(1) {}
    let between = try files(data)
    do {
      _ = try await scene.restore(data, RestoreScene.another)
      Issue.record("two restores at once")
      refusals.withLock { $0.append(LifeboatError(.failure, "none")) }
    } catch let error as LifeboatError {
      #expect(try files(data) == between)
      #expect(error.code == .refused && error.message.contains("another restore"), "\(error)")
      refusals.withLock { $0.append(error) }
    }
    _ = try await first.value
    #expect(try visible(data) == scene.newest)
  }

  /// The same on file systems without locks: each restore checks whether the journal is still its own.
  @Test func `a restore whose journal is another's ends before its commit`() async throws {
    let scene = try await RestoreScene()
    let data = try scene.directory(.nothing)
    let store = FaultyStore(scene.store)
    store.decide { call in
      // Another restore starts while this one reads from the store.
      if call.operation == .read, call.name.contains("/log/") {
        let journal = data + "/.lifeboat-restore/journal.json"
        if let text = try? TestFiles.text(journal) {
          try? TestFiles.write(text.replacing("\"run\":\"", with: "\"run\":\"0"), to: journal)
        }
      }
      return .pass
    }
    do {
      _ = try await scene.restore(data, RestoreScene.nothing, on: store)
      Issue.record("it went through")
    } catch let error as LifeboatError {
      #expect(error.code == .refused && error.message.contains("another restore"), "\(error)")
    }
    #expect(try visible(data).isEmpty)
  }
}
