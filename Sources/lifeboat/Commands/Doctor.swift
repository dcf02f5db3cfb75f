import ArgumentParser
import BackupTypes
import CloudAuth
import HistoryLogic
import ObjectStorage
import Recovery
import RedisFormats
import ReplicationLink
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage

struct Doctor: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check the setup for common problems, and say how to fix each of them.",
    discussion: """
      Writes, reads, lists and deletes small test objects below ops/probes/ in the repository. Checks \
      the bucket's rules and the newest restore point. With --data, it also checks the data directory. With \
      --replica-of, it also checks the server, without requesting a full copy. \
      Exit 0: nothing failed, though there may be warnings. A note is for information only.

      Examples:
        lifeboat doctor --repo s3://backups/redis --data /var/lib/redis
        lifeboat doctor --repo s3://backups/redis --replica-of redis://redis:6379
      """)

  @OptionGroup var repository: RepositoryOptions
  @Option(
    help: ArgumentHelp("Also check this data directory.", valueName: "path"), completion: .directory
  )
  var data: String?
  @OptionGroup var nameOptions: NameOptions
  @OptionGroup var link: LinkServerOptions
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let (given, appendOnly) = try nameOptions.resolve()
    let names = given ?? ServerNames()
    let opened = try Stores.open(repository.repo, repository.transport)
    let store = Stores.interactive(opened.store)
    let keys = repository.key.source()
    var findings = configuration(opened, store, keys)
    findings += try redisConfiguration()
    let reach = try await StoreReach.look(store)
    findings += credentials(opened)
    if let reach {
      // All other checks would only repeat this error.
      findings.append(reach)
    } else {
      findings += try await CapabilityProbe(store, now: SystemClock.now).run().asFindings
      if let bucket = opened.bucket { findings += try await bucket() }
      findings += try await RepositoryDiagnosis(store, keys: keys, now: SystemClock.now())
        .findings()
    }
    if let data {
      findings += DataDiagnosis(FilePath(data), names: names, appendOnly: appendOnly ?? .unknown)
        .findings()
    }
    if link.isGiven {
      let server = try link.server(port: nil)
      findings += LinkDiagnosis.look(server)
    }
    let diagnosis = Diagnosis(findings)
    if json { try Console.json(diagnosis) } else { Console.write(diagnosis.text) }
    return diagnosis.exitCode
  }

  private func configuration(
    _ opened: Stores.Opened, _ store: any ObjectStore, _ keys: KeySource
  ) -> [Finding] {
    var findings = [
      Finding(
        .configuration, "repository", .ok,
        ([store.location] + opened.origins).joined(separator: "; "))
    ]
    for warning in EnvironmentFlags(definitions: CommandDefinition.root).unknownVariables() {
      findings.append(
        Finding(
          .configuration, "environment", .warning, warning,
          consequence: "the setting has no effect",
          remedy:
            "check the spelling; a Kubernetes Service named lifeboat also sets such variables"))
    }
    if let warning = keys.warning() {
      findings.append(
        Finding(
          .configuration, "key-file", .warning, warning,
          consequence: "anyone with the key and access to the bucket can read every backup",
          remedy: "chmod 600; if others use this machine, treat the key as leaked"))
    }
    return findings
  }

  /// The parts of --redis-conf that are not known here.
  private func redisConfiguration() throws -> [Finding] {
    guard let path = nameOptions.redisConf else { return [] }
    let configuration = try RedisConf.parse(FilePath(path))
    var findings = configuration.unread.prefix(5).map { include in
      Finding(
        .configuration, "redis-conf", .warning,
        "\(printable(path)) includes \(printable(include)), which can't be read here",
        consequence: "the file names and appendonly may differ from those checked here",
        remedy: "mount it at the same absolute path, or pass --appendonly, --dbfilename, "
          + "--appendfilename and --appenddirname as Redis has them")
    }
    if let data, let directory = configuration.directory, directory != data {
      findings.append(
        Finding(
          .configuration, "redis-conf", .note,
          "its dir is \(printable(directory)), but --data is \(printable(data)): fine if this is the same "
            + "volume, mounted in two places"))
    }
    return findings
  }

  /// The credential chain, as tried for the first call.
  private func credentials(_ opened: Stores.Opened) -> [Finding] {
    (opened.credentials?() ?? []).compactMap { attempt in
      switch attempt.outcome {
      case .used(let what): Finding(.credentials, attempt.source, .ok, "used: \(what)")
      case .notConfigured(let reason):
        Finding(.credentials, attempt.source, .note, "not used: \(reason)")
      case .failed(let reason, let remedy):
        Finding(
          .credentials, attempt.source, .failed, reason,
          consequence: "no other source is tried: it could be a different account",
          remedy: remedy ?? "fix its configuration, or remove it", code: .storeUnavailable)
      case .notReached: nil
      }
    }
  }
}
