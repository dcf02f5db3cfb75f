import ArgumentParser
import BackupFormat
import BackupTypes
import ObjectStorage
import RepositoryAccess

/// The keys that open an encrypted repository.
struct Key: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List, add and remove the keys of an encrypted repository.",
    discussion: """
      Examples:
        lifeboat key list --repo s3://backups/redis
      """,
    subcommands: [KeyList.self, KeyAdd.self, KeyRemove.self])

  /// The repository's keys, opened with the one that `options` gives.
  fileprivate static func open(_ options: RepositoryOptions) async throws -> RepositoryKeys {
    try await RepositoryKeys.open(
      try Stores.interactive(options.repo, options.transport), keys: options.key.source())
  }
}

struct KeyList: RepositoryCommand {
  static let path = "key list"
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the keys that open a repository.",
    discussion: """
      Shows the id and the age of each key, never the key itself. A key has the same id each time it is \
      added to this repository.

      Examples:
        lifeboat key list --repo s3://backups/redis
        # Which one is the key in old.key?
        lifeboat key list --repo s3://backups/redis \\
          --encryption-key-file old.key
      """)

  @OptionGroup var repository: RepositoryOptions
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let listing = try await Key.open(repository).listing()
    guard !json else {
      try Console.json(listing)
      return .success
    }
    let width = listing.keys.map(\.id.count).max() ?? 0
    for key in listing.keys {
      Console.line(
        key.id + String(repeating: " ", count: width - key.id.count) + "  \(key.addedAt)  "
          + key.words)
    }
    if listing.leftOut > 0 {
      Console.line("and \(counted(listing.leftOut, "more object")) below keys/")
    }
    return .success
  }
}

extension RepositoryKeys.Slot {
  fileprivate var words: String {
    switch state {
    case .current: "this key"
    case .other: isFirst ? "the key that created it" : "another key"
    case .damaged: "damaged: opens nothing"
    case .unfinished: "left by an interrupted creation: opens nothing"
    }
  }
}

struct KeyAdd: RepositoryCommand {
  static let path = "key add"
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Add another key that opens an encrypted repository.",
    discussion: """
      --encryption-key-file names a key that opens the repository now. Nothing is encrypted again: one \
      small object is written, and both keys work from then on. If the new key opens the repository \
      already, nothing is written.

      Examples:
        (umask 077; lifeboat keygen >new.key)
        lifeboat key add --repo s3://backups/redis \\
          --encryption-key-file old.key --new-key-file new.key
      """)

  @OptionGroup var repository: RepositoryOptions
  @Option(
    help: ArgumentHelp("The file that holds the key to add.", valueName: "path"),
    completion: .file())
  var newKeyFile: String
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let source = KeySource(file: newKeyFile, value: nil)
    if let warning = source.warning() { Console.warn(warning) }
    let new = try source.read()!
    let keys = try await Key.open(repository)
    let added = try await keys.add(new)
    if json {
      try Console.json(added)
    } else if !added.isNew {
      Console.line("\(added.id): this key opens the repository already")
    } else {
      Console.line("added: \(added.id)")
      Console.line(
        """
        To replace the key that was used: give the new one to every sidecar, init container and job \
        of this repository, then remove the old one with
          \(removal(of: keys.current, keys.store))
        """)
    }
    return .success
  }

  /// The command that removes the key that was used, in a form that can be copied into this shell.
  private func removal(of id: String, _ store: any ObjectStore) -> String {
    let url = RestoreCommand.url(repository.repo, store)
    let isSet = EnvironmentFlags.processEnvironment()[KeySource.variable] != nil
    return (isSet ? "env -u \(KeySource.variable) " : "")
      + "lifeboat key remove --repo \(shellQuoted(url))"
      + " --encryption-key-file \(shellQuoted(newKeyFile)) \(id)"
  }
}

struct KeyRemove: RepositoryCommand {
  static let path = "key remove"
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Remove a key, so that it no longer opens the repository.",
    discussion: """
      --encryption-key-file names a key that stays: before and after the removal, Lifeboat checks that it \
      opens the repository. The credentials need permission to delete. A running sidecar that \
      has the removed key keeps working until it is restarted.

      Removing a key is not enough if somebody had it and could read the bucket: they may have kept the \
      repository's own key, which stays the same. Then create a new repository, with a new prefix and a \
      new key.

      Examples:
        lifeboat key remove --repo s3://backups/redis \\
          --encryption-key-file new.key 4d0f0c5ee2c64b7f9c2f5f5b9f1f0a3b
      """)

  @OptionGroup var repository: RepositoryOptions
  @Argument(help: "The ids of the keys to remove, as `lifeboat key list` shows them.")
  var ids: [String]
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let removed = try await Key.open(repository).remove(ids)
    if removed.isRestored {
      Console.warn(
        "the key that was given was removed by somebody else at the same time, and was added again")
    }
    guard !json else {
      try Console.json(removed)
      return .success
    }
    for id in removed.removed { Console.line("removed: \(id)") }
    Console.line(
      """
      If somebody had the removed key and could read the bucket at any time, this is not enough: they \
      may have kept the repository's own key, which stays the same, or a copy of keys/. Then create a \
      new repository, with a new prefix and a new key. In a bucket with versioning, an earlier version \
      of the removed object stays until it expires or is deleted.
      """)
    return .success
  }
}
