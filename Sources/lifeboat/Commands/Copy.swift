import ArgumentParser
import BackupTypes
import ObjectStorage
import RepositoryAccess
import SystemIO

struct Copy: RepositoryCommand {
  static let configuration = CommandConfiguration(
    abstract: "Copy a repository to another region, cloud or key.",
    discussion: """
      Copies everything that the copy does not have yet, in an order that keeps the copy restorable at every \
      moment. Run it again to continue, or every hour. It only creates objects. If the source prunes a \
      restore point, the copy keeps it until you run `lifeboat prune` on the copy. What that run deletes is \
      not copied again. Restore from the copy as from any repository. After a disaster, ship to the copy. \
      From then on, the copy command refuses to write there (exit 6).
      With a key of its own, the copy is encrypted again, which is the remedy for a leaked repository key. \
      Without one, it has the keys of the source. Damaged objects of the source are listed (exit 5) and not \
      copied; the rest is copied. Variables such as LIFEBOAT_TO_AWS_PROFILE \
      are credentials and settings for the copy's account only.

      Examples:
        lifeboat copy --repo s3://backups/redis --to gs://other-account/redis
        lifeboat copy --repo s3://backups/redis --to s3://new/redis \\
          --to-encryption-key-file new.key
      """)

  @OptionGroup var repository: RepositoryOptions
  @Option(
    help: ArgumentHelp(
      "The repository to copy to: a URL or a path, as for --repo. The prefix must not contain anything else.",
      valueName: "url"), completion: .directory)
  var to: String
  @Option(
    help: ArgumentHelp(
      "The file that holds the copy's own key.",
      discussion: """
        The key itself can also be set in the environment, as \(KeySource.copyVariable). Without it, the copy \
        has the keys of the source.
        """, valueName: "path"), completion: .file())
  var toEncryptionKeyFile: String?
  @Option(
    help: ArgumentHelp(
      "As --ca-file, for the copy's server. Default: --ca-file.", valueName: "path"),
    completion: .file())
  var toCaFile: String?
  @Flag(help: "Read back each object that was written, and compare it.")
  var readBack = false
  @Flag(help: "Print how much would be copied; change nothing.")
  var dryRun = false
  @Flag(help: "Print one JSON document.")
  var json = false

  var movesMuch: Bool { true }

  func execute() async throws -> BackupTypes.ExitCode {
    let environment = EnvironmentFlags.processEnvironment()
    let source = try Stores.interactive(repository.repo, repository.transport)
    var transport = TransportOptions()
    transport.caFile = toCaFile ?? repository.transport.caFile
    let environmentOfCopy = CopyEnvironment.made(from: environment)
    var target = try Stores.open(to, transport, environment: environmentOfCopy).store
    if dryRun, let directory = target as? DirectoryStore, try directory.isToBeMade() {
      target = UnmadeStore(base: directory)
    }
    let copy = Stores.interactive(target)
    // The same bucket may exist at two endpoints.
    let isDirectory = [nil, "file"].contains(repositoryScheme(to))
    guard
      source.location != copy.location
        || (!isDirectory && (to != repository.repo || environmentOfCopy != environment))
    else {
      throw LifeboatError(
        .usage, "the copy would be at the same place as the source: \(copy.location)",
        hint: "copy to another bucket, account or prefix")
    }
    try CopyPlaces(source: source.location, copy: copy.location).check()
    let own = KeySource(
      file: toEncryptionKeyFile, value: environment[KeySource.copyVariable], isCopys: true)
    if let warning = own.warning() { Console.warn(warning) }
    let report = try await Copier(
      from: source, keys: repository.key.source(), to: copy, own: own,
      options: .init(isDryRun: dryRun, readsBack: readBack), now: { SystemClock.now() },
      reading: { Progress.show("reading", $0, of: $1, .record) },
      progress: { Progress.show("copying", $0, of: $1, .object) }
    ).run()
    if json {
      try Console.json(report)
    } else {
      Console.write(report.text)
    }
    return report.exitCode
  }
}
