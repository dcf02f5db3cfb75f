import ArgumentParser
import BackupTypes
import Codec
import HistoryLogic
import RepositoryAccess
import SystemIO
import SystemPackage

/// A length of time on the command line: `0`, `500ms`, `1s`, `5m`, `1h`, `30d`.
struct Milliseconds: ExpressibleByArgument, Sendable {
  var value: Int64
  private static let units: [(String, Int64)] = [
    ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
  ]

  init(_ value: Int64) { self.value = value }
  init?(argument: String) {
    if argument == "0" {
      value = 0
      return
    }
    for (suffix, factor) in Milliseconds.units where argument.hasSuffix(suffix) {
      guard let count = Int64(argument.dropLast(suffix.utf8.count)), count >= 0,
        count < 1_000_000_000
      else { continue }
      value = count * factor
      return
    }
    return nil
  }
  var defaultValueDescription: String {
    for (suffix, factor) in Milliseconds.units.reversed()
    where value >= factor && value % factor == 0 {
      return "\(value / factor)\(suffix)"
    }
    return "0"
  }
}

/// A number of bytes on the command line: `4096`, `64KiB`, `64MiB`, `2GiB`.
struct Bytes: ExpressibleByArgument, Sendable {
  var value: UInt64
  init(_ value: UInt64) { self.value = value }
  init?(argument: String) {
    for (suffix, shift) in [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)]
    where argument.hasSuffix(suffix) {
      guard let count = UInt64(argument.dropLast(suffix.utf8.count)), count < 1 << 20 || shift == 0
      else { return nil }
      value = count << UInt64(shift)
      return
    }
    return nil
  }
  var defaultValueDescription: String { humanBytes(value).replacing(".0 ", with: "") }
}

extension LogFormat: ExpressibleByArgument {}
extension Compression: ExpressibleByArgument {}
extension Question.Suspect: ExpressibleByArgument {}

/// The id of a repository on the command line: 32 hex digits, as `list` prints it.
struct RepositoryID: ExpressibleByArgument, Sendable {
  var value: Nonce
  init?(argument: String) {
    guard let value = Nonce(hexadecimal: argument) else { return nil }
    self.value = value
  }
}

/// Where the backups are.
struct RepositoryOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The repository: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///path, "
        + "or a path.",
      discussion: """
        Each Redis needs its own repository. For S3, credentials, region and endpoint come from the same \
        places as for the AWS CLI, or from the URL: \
        ?endpoint=https://host:port&region=NAME&path-style=true. For Google Cloud Storage, \
        credentials are the Application Default Credentials; the options are \
        ?endpoint=https://host:port and ?anonymous=true. For Azure Blob Storage, ?account=NAME (or \
        AZURE_STORAGE_ACCOUNT) names the storage account; credentials come from the same variables as for the az \
        command line, or from a workload or managed identity; ?endpoint=https://host names another address.
        """, valueName: "url"), completion: .directory)
  var repo: String
  @OptionGroup var transport: TransportOptions
  @OptionGroup var key: KeyOptions
  @Option(
    help: ArgumentHelp(
      "The memory that the command may use; at least \(Bytes(UInt64(MemoryBound.least)).defaultValueDescription).",
      discussion: """
        The command completes in a cgroup with this limit (memory.max) and no swap. More allows more \
        requests at the same time.
        """, valueName: "bytes"))
  var memory = Bytes(UInt64(MemoryBound.standard.bytes))

  func memoryBound() throws(LifeboatError) -> MemoryBound {
    guard memory.value >= MemoryBound.least else {
      throw LifeboatError(
        .usage, "--memory \(humanBytes(memory.value)) is too little",
        hint: "at least \(humanBytes(MemoryBound.least))")
    }
    return MemoryBound(bytes: Int(min(memory.value, 1 << 40)))
  }
}

/// The options that open an encrypted repository.
struct KeyOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The file that holds the key of an encrypted repository.",
      discussion: """
        The key itself can also be set in the environment, as \(KeySource.variable); there is no flag for \
        it. With a key, ship creates an encrypted repository. `lifeboat keygen` creates a key.
        """, valueName: "path"), completion: .file())
  var encryptionKeyFile: String?

  /// Reads only the environment, not the file. Warns about a key file that others can read.
  func source() -> KeySource {
    let environment = EnvironmentFlags.processEnvironment()
    let source = KeySource(file: encryptionKeyFile, value: environment[KeySource.variable])
    if let warning = source.warning() { Console.warn(warning) }
    return source
  }
}

/// Which part of a history is kept.
struct RetentionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Keep every restore point of this period. For dumps without an AOF, see --keep-hourly.",
      discussion: "An object is deleted a day after it is no longer needed, not earlier.",
      valueName: "time"))
  var keepWithin = Milliseconds(7 * RetentionPolicy.day)
  @Option(
    help: ArgumentHelp(
      "Without an AOF, keep the last dump of each hour of this period.",
      discussion: "All dumps of the last day are kept.", valueName: "time"))
  var keepHourly = Milliseconds(7 * RetentionPolicy.day)
  @Option(
    help: ArgumentHelp(
      "Before that, keep the last restore point of each day (UTC), for this many days.",
      valueName: "days"))
  var keepDaily = 30

  static let daysMax = 36_500

  func policy() throws -> RetentionPolicy {
    guard (0...RetentionOptions.daysMax).contains(keepDaily) else {
      throw LifeboatError(
        .usage, "--keep-daily must be a number of days from 0 to \(RetentionOptions.daysMax)")
    }
    return RetentionPolicy(
      keepWithin: keepWithin.value, keepHourly: keepHourly.value, keepDaily: keepDaily)
  }
}

/// How servers are reached.
struct TransportOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Verify server certificates with the CA certificates in this file.",
      discussion:
        "Default: AWS_CA_BUNDLE, SSL_CERT_FILE, CURL_CA_BUNDLE, or the system's certificates.",
      valueName: "path"), completion: .file())
  var caFile: String?
}

/// The names that a server's configuration gives its files.
struct NameOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Read dbfilename, appendonly, appendfilename and appenddirname from this redis.conf.",
      valueName: "path"), completion: .file())
  var redisConf: String?
  @Option(help: ArgumentHelp("Redis's dbfilename, if it is not dump.rdb.", valueName: "name"))
  var dbfilename: String?
  @Option(
    help: ArgumentHelp("Redis's appendfilename, if it is not appendonly.aof.", valueName: "name"))
  var appendfilename: String?
  @Option(
    help: ArgumentHelp("Redis's appenddirname, if it is not appendonlydir.", valueName: "name"))
  var appenddirname: String?

  /// The given names, nil if there are none; and the setting of `appendonly` in the configuration.
  func resolve() throws -> (names: ServerNames?, appendOnly: AppendOnly?) {
    let (configuration, appendOnly) =
      try redisConf.map { try RedisConf.read(FilePath($0)) } ?? (nil, nil)
    guard configuration != nil || dbfilename != nil || appendfilename != nil || appenddirname != nil
    else { return (nil, nil) }
    var names = configuration ?? ServerNames()
    names.dump = dbfilename ?? names.dump
    names.appendFile = appendfilename ?? names.appendFile
    names.appendDirectory = appenddirname ?? names.appendDirectory
    for name in [names.dump, names.appendFile, names.appendDirectory] where !isPlainFileName(name) {
      throw LifeboatError(
        .usage, "\"\(printable(name))\" is not a plain file name",
        hint: "Redis does not allow a path here; its `dir` is --data")
    }
    return (names, appendOnly)
  }
}
