import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess
import SystemPackage
import TestSupport
import Testing

/// A restore that is stopped before each of its renames, and everything that can happen then. The directory
/// contains the old data, the requested data, or what a server has written since. Never anything else.
@Suite struct RestoreCommitTests {
  private func isEnded(_ data: String) -> Bool { !TestFiles.exists(data + "/.lifeboat-restore") }

  /// Expects that all old files are in place, were moved aside, or are among the staged files with which they
  /// were exchanged.
  private func expectKept(_ before: RestoreScene.Before, _ data: String, _ words: String) throws {
    let places = [
      try visible(data), try visible(data, in: ".lifeboat-replaced"),
      try visible(data, in: ".lifeboat-restore/files"),
    ]
    for (name, bytes) in RestoreScene.visibleContent(before) where before == .data {
      #expect(places.contains { $0[name] == bytes }, "\(words): \(name) is lost")
    }
  }

  private func eachStop(
    _ before: RestoreScene.Before,
    _ body: (RestoreScene, _ data: String, _ isDone: Bool, _ words: String) async throws -> Void
  ) async throws {
    let scene = try await RestoreScene()
    let asked = before.replaces ? RestoreScene.replacing : RestoreScene.nothing
    let steps = try await scene.steps(try scene.directory(before), asked)
    #expect(steps.count >= (before == .nothing ? 4 : 7), "\(steps)")
    for count in 0...steps.count {
      let data = try scene.directory(before)
      try await scene.crash(data, asked, before: count)
      let isDone = count > (steps.firstIndex(of: .end) ?? 0)
      let words = "\(before), stopped behind \(steps[..<count])"
      try expectKept(before, data, words)
      try await body(scene, data, isDone, words)
      TestFiles.remove(data)
    }
  }

  @Test(arguments: RestoreScene.Before.allCases)
  func `the same again: it is finished, without the store`(before: RestoreScene.Before)
    async throws
  {
    let asked = before.replaces ? RestoreScene.replacing : RestoreScene.nothing
    try await eachStop(before) { scene, data, isDone, words in
      if isDone {
        // The first run's result was lost. If it is repeated, the error says that the data is there.
        await #expect(throws: LifeboatError.self, "\(words)") {
          try await scene.restore(data, asked)
        }
      } else {
        let report = try await scene.restore(data, asked, offline: true)
        guard case .finished = report.outcome else {
          Issue.record("\(words): \(report)")
          return
        }
        #expect(report.interrupted?.result == .finished, "\(words)")
        #expect(isEnded(data), "\(words)")
      }
      #expect(try visible(data) == scene.newest, "\(words)")
      try expectKept(before, data, words)
      #expect(Marker.read(in: FilePath(data))?.isDeliberate == false, "\(words): no marker")
    }
  }

  /// A server that starts at any moment, with or without AOF, loads the old set or the new one.
  @Test func `over data, each of the server's files is the old one or the new one at any moment`()
    async throws
  {
    try await eachStop(.data) { scene, data, _, words in
      let live = try visible(data)
      for part in ["appendonlydir/", "dump.rdb"] {
        func only(_ files: Files) -> Files { files.filter { $0.key.hasPrefix(part) } }
        #expect(
          only(live) == only(RestoreScene.visibleContent(.data))
            || only(live) == only(scene.newest), "\(words): \(live.keys)")
      }
    }
  }

  @Test(arguments: RestoreScene.Before.allCases)
  func `another point: what was begun is undone, and that point is restored`(
    before: RestoreScene.Before
  ) async throws {
    let asked = before.replaces ? RestoreScene.anotherReplacing : RestoreScene.another
    try await eachStop(before) { scene, data, isDone, words in
      if isDone {
        await #expect(throws: LifeboatError.self, "\(words)") {
          try await scene.restore(data, asked)
        }
        #expect(try visible(data) == scene.newest, "\(words)")
        return
      }
      let report = try await scene.restore(data, asked)
      #expect(report.interrupted?.result == .undone, "\(words): \(report)")
      #expect(try visible(data) == scene.earlier, "\(words)")
      #expect(isEnded(data), "\(words)")
      try expectKept(before, data, words)
      #expect(Marker.read(in: FilePath(data))?.isDeliberate == true, "\(words)")
    }
  }

  @Test(arguments: RestoreScene.Before.allCases)
  func `an init container ends well without the store, with a whole state`(
    before: RestoreScene.Before
  ) async throws {
    try await eachStop(before) { scene, data, _, words in
      let report = try await scene.restore(data, RestoreScene.ifEmpty, offline: true)
      let found = try visible(data)
      let isOld = before == .data && found == RestoreScene.visibleContent(before)
      #expect(found == scene.newest || isOld, "\(words): \(report)")
      try expectKept(before, data, words)
      // Each later start has the same result.
      let again = try await scene.restore(data, RestoreScene.ifEmpty, offline: true)
      guard case .dataPresent = again.outcome else {
        Issue.record("\(words): \(again)")
        return
      }
      #expect(try visible(data) == found, "\(words)")
    }
  }

  /// What a server does to the directory that it is started on.
  enum Server: CaseIterable, Sendable {
    /// With `appendonly yes`, it continues the AOF that it finds, or starts one.
    case withLog
    /// With `appendonly no`, it saves its dump.
    case withDump
  }

  private func write(_ server: Server, _ data: String) throws {
    switch server {
    case .withDump:
      try TestFiles.write(SmallRepository.rdb(value: 50), to: data + "/temp-1.rdb")
      try TestFiles.rename(data + "/temp-1.rdb", to: data + "/dump.rdb")
    case .withLog:
      let directory = data + "/appendonlydir"
      if !TestFiles.exists(directory + "/a.manifest") {
        try TestFiles.makeDirectory(directory)
        try TestFiles.write(
          "file a.1.incr.aof seq 1 type i\n", to: directory + "/a.manifest")
      }
      try TestFiles.append(SmallRepository.set("s"), to: directory + "/a.1.incr.aof")
    }
  }

  @Test(arguments: RestoreScene.Before.allCases, Server.allCases)
  func `a server that wrote since keeps its data`(before: RestoreScene.Before, server: Server)
    async throws
  {
    try await eachStop(before) { scene, data, _, words in
      try write(server, data)
      let live = try visible(data)
      let aside = try visible(data, in: ".lifeboat-replaced")
      let report = try await scene.restore(data, RestoreScene.ifEmpty, offline: true)
      guard case .dataPresent = report.outcome else {
        Issue.record("\(words): \(report)")
        return
      }
      #expect(try visible(data) == live, "\(words): \(report)")
      // Exchanged files that had not been moved aside yet are now there, too.
      let kept = try visible(data, in: ".lifeboat-replaced")
      #expect(aside.allSatisfy { kept[$0.key] == $0.value }, "\(words)")
      #expect(isEnded(data), "\(words): what was staged is left")
      // A restore without --replace does not touch the data either.
      for asked in [RestoreScene.nothing, RestoreScene.another] {
        await #expect(throws: LifeboatError.self) { try await scene.restore(data, asked) }
        #expect(try visible(data) == live, "\(words)")
      }
    }
  }

  @Test(arguments: RestoreScene.Before.allCases)
  func `with --replace what the server wrote is kept`(before: RestoreScene.Before) async throws {
    try await eachStop(before) { scene, data, _, words in
      try write(.withLog, data)
      let live = try visible(data)
      do {
        _ = try await scene.restore(data, RestoreScene.anotherReplacing)
        #expect(try visible(data) == scene.earlier, "\(words)")
        let aside = try visible(data, in: ".lifeboat-replaced")
        #expect(live.allSatisfy { aside[$0.key] == $0.value }, "\(words): \(aside.keys)")
      } catch let error as LifeboatError {
        // What the first --replace moved aside is still there, so a second one is refused.
        #expect(error.code == .refused && error.message.contains("--replace"), "\(words): \(error)")
        #expect(before == .data, "\(words): \(error)")
        #expect(try visible(data) == live, "\(words)")
      }
    }
  }

  /// The server made an AOF directory but no key. The dump that was already moved in is not its data.
  @Test(arguments: [RestoreScene.Before.nothing, .anEmptyServer])
  func `a server that started on nothing and wrote no key is restored over`(
    before: RestoreScene.Before
  ) async throws {
    try await eachStop(before) { scene, data, isDone, words in
      guard !TestFiles.exists(data + "/appendonlydir") else { return }
      try TestFiles.makeDirectory(data + "/appendonlydir")
      try TestFiles.write(
        "file a.1.incr.aof seq 1 type i\n", to: data + "/appendonlydir/a.manifest")
      try TestFiles.write("", to: data + "/appendonlydir/a.1.incr.aof")
      let report = try await scene.restore(data, RestoreScene.ifEmpty)
      #expect(try visible(data) == scene.newest, "\(words): \(report)")
      #expect(isEnded(data), "\(words)")
    }
  }

  @Test func `somebody removed everything visible: it begins anew`() async throws {
    try await eachStop(.data) { scene, data, _, words in
      for name in TestFiles.list(data) where !name.hasPrefix(".") {
        TestFiles.remove(data + "/" + name)
      }
      let aside = try visible(data, in: ".lifeboat-replaced")
      let report = try await scene.restore(data, RestoreScene.ifEmpty)
      let allowed = [scene.newest, RestoreScene.visibleContent(.data)]
      #expect(allowed.contains(try visible(data)), "\(words): \(report)")
      #expect(isEnded(data), "\(words)")
      let kept = try visible(data, in: ".lifeboat-replaced")
      #expect(aside.allSatisfy { kept[$0.key] == $0.value } || kept.isEmpty, "\(words)")
    }
  }

  @Test(arguments: RestoreScene.Before.allCases)
  func `an undoing that is stopped anywhere is taken up again`(before: RestoreScene.Before)
    async throws
  {
    let scene = try await RestoreScene()
    let asked = before.replaces ? RestoreScene.replacing : RestoreScene.nothing
    let another = before.replaces ? RestoreScene.anotherReplacing : RestoreScene.another
    let steps = try await scene.steps(try scene.directory(before), asked)
    let end = try #require(steps.firstIndex(of: .end))
    for first in [end / 2, end] {
      let sample = try scene.directory(before)
      try await scene.crash(sample, asked, before: first)
      let undoing = try await scene.steps(sample, another)
      for second in 0...undoing.count {
        for (asks, isInit) in [(another, false), (RestoreScene.ifEmpty, true)] {
          let data = try scene.directory(before)
          try await scene.crash(data, asked, before: first)
          try await scene.crash(data, another, before: second)
          let words = "\(before), \(steps[..<first]), then \(undoing[..<second])"
          try expectKept(before, data, words)
          if before == .data {
            // Whether it stops while it undoes or later, a server finds a complete set.
            let log = try visible(data).filter { $0.key.hasPrefix("appendonlydir/") }
            let sets = [RestoreScene.visibleContent(.data), scene.newest, scene.earlier].map {
              $0.filter { $0.key.hasPrefix("appendonlydir/") }
            }
            #expect(sets.contains(log), "\(words): \(log.keys)")
          }
          let report = try? await scene.restore(data, asks)
          let found = try visible(data)
          let allowed =
            (isInit ? [scene.newest, scene.earlier] : [scene.earlier])
            + (isInit && before == .data ? [RestoreScene.visibleContent(before)] : [])
          #expect(
            allowed.contains(found), "\(words), init \(isInit): \(String(describing: report))")
          try expectKept(before, data, words)
          TestFiles.remove(data)
        }
      }
    }
  }
}
