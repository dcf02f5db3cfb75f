import BackupTypes
import Glibc
import Synchronization
import SystemIO

/// What SIGTERM and SIGINT do: the first requests a clean shutdown, the second exits at once.
final class Interruption: Sendable {
  static let shared = Interruption()

  private struct State {
    var signal: SignalWaiter.Signal?
    var onSignal: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  func signalled(_ signal: SignalWaiter.Signal, count: Int) {
    if count > 1 { _exit(code(of: signal).rawValue) }
    let handler = state.withLock { state in
      state.signal = signal
      return state.onSignal
    }
    handler?()
  }

  /// From now on a signal calls `handler` instead of cancelling the command.
  func handle(_ handler: @escaping @Sendable () -> Void) {
    let isPending = state.withLock { state in
      state.onSignal = handler
      return state.signal != nil
    }
    if isPending { handler() }
  }

  /// Runs a command. A signal cancels it, unless the command handles signals itself.
  func running<Value: Sendable>(
    on pool: BlockingPool, cancels: Bool, _ work: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let task = Task(executorPreference: pool, operation: work)
    let isPending = state.withLock { state in
      guard cancels else { return false }
      if state.onSignal == nil { state.onSignal = { task.cancel() } }
      return state.signal != nil
    }
    if isPending { task.cancel() }
    return try await task.value
  }

  /// The exit code of the signal that came, if one did.
  var code: ExitCode? { state.withLock { $0.signal }.map { code(of: $0) } }

  private func code(of signal: SignalWaiter.Signal) -> ExitCode {
    signal == .interrupt ? .interrupted : .terminated
  }
}
