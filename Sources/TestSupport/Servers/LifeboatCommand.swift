package import BackupTypes
import Glibc

/// The result of a `lifeboat` that has exited.
package struct CommandResult: Sendable, CustomStringConvertible {
  package let arguments: [String]
  package let end: ProcessEnd
  package let output: [UInt8]
  package let errors: [UInt8]
  package let usage: ResourceUsage?

  /// nil if a signal ended it.
  package var exitCode: Int32? {
    if case .exited(let code) = end { return code }
    return nil
  }
  package var outputText: String { String(decoding: output, as: UTF8.self) }
  package var errorText: String { String(decoding: errors, as: UTF8.self) }

  package var description: String {
    "lifeboat \(arguments.joined(separator: " ")): \(end)\n\(outputText)\(errorText)"
  }
}

/// The built `lifeboat`, run as a user runs it. Of our environment it only gets PATH, HOME and TMPDIR.
package enum LifeboatCommand {
  /// `LIFEBOAT_BINARY`, otherwise the one next to the running test bundle, otherwise the last debug build.
  package static var path: String {
    if let given = getenv("LIFEBOAT_BINARY") { return String(cString: given) }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let bundle = String(
      decoding: buffer.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let beside = bundle.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/lifeboat"
    return access(beside, X_OK) == 0 ? beside : Checkout.root + "/.build/debug/lifeboat"
  }

  /// Runs the command until it exits. Throws if this takes longer than `deadline` seconds.
  ///
  /// - Parameter binary: the binary to run, for example `EarlierRelease.path`.
  package static func run(
    _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
    input: ChildStream = .null, deadline: Double = 120, binary: String? = nil
  ) async throws -> CommandResult {
    let command = try start(
      arguments, environment: environment, directory: directory, input: input, binary: binary)
    return try await command.wait(deadline: deadline)
  }

  /// Starts a command that runs until it is stopped, such as `ship`.
  package static func start(
    _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
    input: ChildStream = .null, binary: String? = nil
  ) throws -> RunningCommand {
    try RunningCommand(binary ?? path, arguments, environment, directory, input)
  }
}

/// A running `lifeboat`. It ends with this object.
package final class RunningCommand: Sendable {
  package let process: ChildProcess
  private let arguments: [String]
  private let runtime: TemporaryDirectory

  fileprivate init(
    _ path: String, _ arguments: [String], _ environment: [String: String], _ directory: String?,
    _ input: ChildStream
  ) throws {
    self.arguments = arguments
    runtime = try TemporaryDirectory("lb")
    process = try ChildProcess(
      path, arguments, environment: ChildProcess.minimalEnvironment.merging(environment) { $1 },
      directory: directory, input: input, output: .file(runtime("out")),
      errors: .file(runtime("err")))
  }

  package var end: ProcessEnd? { process.end }
  /// The standard output so far.
  package var output: [UInt8] { (try? TestFiles.read(runtime("out"))) ?? [] }
  package var errors: [UInt8] { (try? TestFiles.read(runtime("err"))) ?? [] }
  package var outputText: String { String(decoding: output, as: UTF8.self) }
  package var errorText: String { String(decoding: errors, as: UTF8.self) }

  package func signal(_ number: Int32) { process.signal(number) }

  /// Waits until it exits. Throws with its output if this takes too long.
  @discardableResult
  package func wait(deadline: Double = 120) async throws -> CommandResult {
    try await eventually(
      deadline: deadline, "end of \(process.commandLine)", condition: { process.end != nil },
      state: { outputText + errorText })
    return result(process.end!)
  }

  /// Sends SIGTERM, as Kubernetes does to end a container, and waits. A process handles no signals before its
  /// first line of output. The kernel would kill it, which is not a clean shutdown.
  @discardableResult
  package func terminate(deadline: Double = 120) async throws -> CommandResult {
    try await eventually(
      deadline: deadline, "first word of \(process.commandLine)",
      condition: { process.end != nil || !errors.isEmpty })
    process.signal(SIGTERM)
    return try await wait(deadline: deadline)
  }

  /// Sends SIGKILL and waits.
  @discardableResult
  package func kill() -> CommandResult { result(process.kill()) }

  private func result(_ end: ProcessEnd) -> CommandResult {
    CommandResult(
      arguments: arguments, end: end, output: output, errors: errors, usage: process.usage)
  }
}

extension CommandResult {
  /// The exit code; nil after a signal, or if it is not one of our codes.
  package var exit: ExitCode? { exitCode.flatMap { ExitCode(rawValue: $0) } }
}
