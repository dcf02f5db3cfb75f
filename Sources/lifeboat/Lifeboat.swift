import ArgumentParser
import BackupTypes
import Glibc
import RepositoryAccess
import SystemIO

/// The command tree. Flags are defined only here: parsing, help, environment variables and the reference in
/// `docs/cli.md` come from these definitions.
struct Lifeboat: AsyncParsableCommand {
  static let version = "0.1.0"
  static let configuration = CommandConfiguration(
    commandName: "lifeboat",
    abstract: "Continuous backup and point-in-time restore for Redis and Valkey.",
    discussion: """
      Every flag can be given as an environment variable LIFEBOAT_<FLAG>, for example LIFEBOAT_REPO; \
      flags win. Times are RFC 3339 with a zone, -15m, or unix seconds. Exit codes are documented in \
      docs/scripting.md.

      Examples:
        lifeboat ship --data /var/lib/redis --repo s3://backups/redis
        lifeboat restore --data /var/lib/redis --repo s3://backups/redis
        lifeboat doctor --data /var/lib/redis --repo s3://backups/redis
      """,
    version: version,
    subcommands: [
      Ship.self, Restore.self, List.self, Inspect.self, Report.self, Fleet.self, Verify.self,
      Prune.self,
      Copy.self, Pinning.self, Unpin.self, Status.self, Sync.self, Doctor.self, Keygen.self,
      Key.self,
    ])

  /// The command that a mistyped word probably means; nil if the word is a command, or similar to none.
  static func command(like word: String) -> String? {
    let names = configuration.subcommands.map { $0._commandName }
    guard !names.contains(word), word.utf8.count <= 24 else { return nil }
    let nearest = names.map { ($0, editDistance($0, word)) }.min { $0.1 < $1.1 }
    return nearest.flatMap { $0.1 <= 2 ? $0.0 : nil }
  }
}

@main
enum Main {
  /// Threads for blocking work: the loop, two lanes, and what they do at the same time.
  private static let threads = 8

  /// Not `async`: an asynchronous main runs on a thread of the cooperative pool, and the main thread
  /// would keep its signals unblocked.
  static func main() {
    let interruption = Interruption.shared
    do throws(LifeboatError) {
      // This must run before the first thread starts, because a thread that has its own arena keeps it.
      ProcessTuning.tuneAllocator()
      // Then this: the signals are blocked in this thread, and so in every thread created later.
      _ = try SignalWaiter { signal, count in interruption.signalled(signal, count: count) }
      ProcessTuning.disableCoreDumps()
      ProcessTuning.ignoreBrokenPipes()
      let (command, arguments) = parse(Array(CommandLine.arguments.dropFirst()))
      let box = CommandBox(command: command)
      if (command as? any ExitingCommand)?.movesMuch == true {
        ProcessTuning.tuneAllocatorForBulk()
      }
      let pool = try BlockingPool(name: "lifeboat", threads: threads)
      Task(executorPreference: pool) { await end(box, arguments, pool) }
    } catch {
      Console.fail(error)
    }
    // The task ends the process.
    while true { pause() }
  }

  private static func end(_ box: CommandBox, _ arguments: [String], _ pool: BlockingPool) async {
    do {
      Console.end(try await box.run(on: pool))
    } catch  where error is LifeboatError || error is CancellationError {
      Console.end(
        Console.report(error, asJSON: arguments.contains("--json"), interruption: .shared))
    } catch {
      endWithParserMessage(error, arguments)
    }
  }

  /// Help, the version, or a usage error, in ArgumentParser's words and with our exit code.
  private static func endWithParserMessage(_ error: any Error, _ arguments: [String]) -> Never {
    let isUsage = !Lifeboat.exitCode(for: error).isSuccess
    if isUsage, let word = arguments.first, !word.hasPrefix("-"),
      let near = Lifeboat.command(like: word)
    {
      Console.fail(
        LifeboatError(.usage, "there is no such command", hint: "did you mean `\(near)`?"))
    }
    let message = withForm(Lifeboat.fullMessage(for: error))
    Console.write(
      (isUsage ? withoutValues(message, arguments) : message) + "\n", toError: isUsage)
    Console.end(isUsage ? .usage : .success)
  }

  /// The form of a value that the parser only calls invalid, by the name of the option in its message.
  private static let forms = [
    ("--repository-id <id>'", "an id has 32 hex digits; `lifeboat list` prints it"),
    ("<time>'", "a time has a unit: 500ms, 30s, 5m, 12h, 7d"),
    ("<bytes>'", "examples of sizes: 4096, 64KiB, 64MiB, 2GiB"),
    ("<percent>'", "examples of percentages: 5, 2.5%, 100"),
  ]

  private static func withForm(_ message: String) -> String {
    let lines = message.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = lines.first, first.contains("is invalid for '"),
      let form = forms.first(where: { first.hasSuffix($0.0) })
    else { return message }
    return ([first, "  what to do: \(form.1)"] + lines.dropFirst()).joined(separator: "\n")
  }

  /// The parser repeats what it does not understand. That can include a key or a URL with a password, so only
  /// names of options, words like those of commands, and short numbers are repeated.
  static func withoutValues(_ message: String, _ arguments: [String]) -> String {
    let values = arguments.flatMap { argument -> [String] in
      guard argument.hasPrefix("-") else { return [argument] }
      guard let equals = argument.firstIndex(of: "=") else {
        return argument.hasPrefix("--") && isPlain(argument) ? [] : [argument]
      }
      return [String(argument[argument.index(after: equals)...])]
    }
    var shown = message
    for value in values.sorted(by: { $0.utf8.count > $1.utf8.count }) where !isPlain(value) {
      shown = shown.replacing(value, with: "…")
    }
    return shown
  }

  private static func isPlain(_ value: String) -> Bool {
    if value.utf8.count <= 7, value.first?.isNumber == true { return true }
    return value.utf8.count <= 24
      && value.utf8.allSatisfy { (97...122).contains($0) || $0 == UInt8(ascii: "-") }
  }

  /// The command, and the arguments with those that the environment gives.
  private static func parse(_ given: [String]) -> (any ParsableCommand, [String]) {
    var arguments = given
    do {
      let environment = EnvironmentFlags(definitions: CommandDefinition.root)
      for warning in environment.unknownVariables() { Console.warn(warning) }
      arguments = try environment.completing(given)
      let command = try Lifeboat.parseAsRoot(arguments)
      // An init container that lost its `args` must not look like one that had nothing to restore.
      if !type(of: command).configuration.subcommands.isEmpty {
        Console.write(Lifeboat.helpMessage(for: type(of: command)) + "\n", toError: true)
        Console.end(.usage)
      }
      return (command, arguments)
    } catch let error as LifeboatError {
      Console.end(Console.report(error, asJSON: false, interruption: .shared))
    } catch {
      endWithParserMessage(error, arguments)
    }
  }
}

/// A command that determines its own exit code.
protocol ExitingCommand: AsyncParsableCommand {
  func execute() async throws -> BackupTypes.ExitCode
  /// Whether the command handles a signal in its own way, even one that arrives before it has begun.
  var handlesSignals: Bool { get }
  /// Whether the command copies whole generations, and then exits.
  var movesMuch: Bool { get }
  /// Whether a person waits for its end.
  var showsProgress: Bool { get }
  /// The words after `lifeboat`.
  static var path: String { get }
}

/// A command that works on a repository.
protocol RepositoryCommand: ExitingCommand {
  var repository: RepositoryOptions { get }
}

extension ExitingCommand {
  func run() async throws { _ = try await execute() }
  var handlesSignals: Bool { false }
  var movesMuch: Bool { false }
  var showsProgress: Bool { true }
  static var path: String { _commandName }
}

/// `@unchecked Sendable`: a parsed command is a value that only one task uses.
private struct CommandBox: @unchecked Sendable {
  let command: any ParsableCommand

  func run(on pool: BlockingPool) async throws -> BackupTypes.ExitCode {
    if let exiting = command as? any ExitingCommand {
      let cancels = !exiting.handlesSignals
      if exiting.showsProgress { Progress.begin(type(of: exiting).path, on: pool) }
      defer { Progress.clear(isResult: true) }
      let bound = try (exiting as? any RepositoryCommand)?.repository.memoryBound() ?? .standard
      return try await MemoryBound.$current.withValue(bound) {
        try await Interruption.shared.running(on: pool, cancels: cancels) {
          guard let command = command as? any ExitingCommand else { return .failure }
          return try await command.execute()
        }
      }
    }
    var plain = command
    try plain.run()
    return .success
  }
}
