import ArgumentParser
import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO

struct Unpin: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Release pins, and accept the newest state.",
    discussion: """
      After that, a restore no longer stops to ask which state you want (exit 9). To release a pin that \
      `lifeboat pin` has set, pass its name.

      Examples:
        # The newest state is the right one
        lifeboat unpin --repo s3://backups/redis --all
        # A pin that was set by name
        lifeboat unpin --repo s3://backups/redis before-migration
      """)

  @OptionGroup var repository: RepositoryOptions
  @Argument(help: "The names or ids of the pins, as `lifeboat list` shows them.")
  var pins: [String] = []
  @Flag(help: "Release every pin that Lifeboat has set by itself.")
  var all = false
  @Flag(help: "Print one JSON document.")
  var json = false

  private struct Document: Encodable {
    var released: [String]
    var keptUntil: String
  }

  func execute() async throws -> BackupTypes.ExitCode {
    guard all != !pins.isEmpty else {
      throw LifeboatError(
        .usage, "name the pins to release, or pass --all", hint: "`lifeboat list` shows them")
    }
    let store = try Stores.interactive(repository.repo, repository.transport)
    guard let opened = try await Repository.open(store, keys: repository.key.source()) else {
      throw LifeboatError(.noBackup, "there is no backup at \(store.location)")
    }
    let now = SystemClock.now()
    // A named pin is released by its name, even if it can't be read.
    let catalogue = try await opened.operations()
    var wanted = pins.filter { catalogue.pinsHeld.contains($0) }
    var kept: [String] = []
    if wanted.count < pins.count || all {
      let active = try await opened.pinsInForce(catalogue, now: now)
      if all {
        wanted = active.pins.filter { $0.name == nil }.map(\.id) + active.unreadable
        kept = active.pins.compactMap(\.name)
      }
      for word in pins where !wanted.contains(word) {
        let named = active.ids(named: word)
        guard !named.isEmpty else {
          throw LifeboatError(
            .noBackup, "there is no pin \(printable(word))", hint: "`lifeboat list` shows the pins")
        }
        wanted += named
      }
    }
    for id in wanted {
      try await opened.release(id, by: "lifeboat unpin", at: now)
      if !json { Console.line("released: \(id)") }
    }
    if !json {
      for name in kept { Console.line("kept: \(printable(name)), which is released by its name") }
    }
    let until = now.advanced(byMilliseconds: RetentionPolicy.grace).description
    if json {
      try Console.json(Document(released: wanted, keptUntil: until))
    } else if !wanted.isEmpty {
      Console.line(
        "data that only a pin kept is deleted by the first retention run after \(until); "
          + "`lifeboat prune --dry-run` then shows what still holds old data")
    }
    return .success
  }
}
