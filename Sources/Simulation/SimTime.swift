import BackupTypes
import Logging
import SystemIO

/// Waits without blocking the one thread.
struct SimTime: TimeSource {
  func now() -> Now {
    Now(wall: SystemClock.now(), monotonic: SystemClock.monotonicMilliseconds())
  }
  func sleep(milliseconds: Int64) async throws {
    try await Task.sleep(for: .milliseconds(milliseconds))
  }
  func makeBell() -> any Bell { SimBell() }
}

/// `@unchecked Sendable`: everything in a simulation runs on one thread.
private final class SimBell: Bell, @unchecked Sendable {
  private var isSet = false
  private var waiter: CheckedContinuation<Void, Never>?
  private var number = 0

  func signal() {
    isSet = true
    wake()
  }

  private func wake() {
    guard let waiter else { return }
    self.waiter = nil
    isSet = false
    number += 1
    waiter.resume()
  }

  func wait(milliseconds: Int64) async {
    if isSet {
      isSet = false
      return
    }
    let mine = number
    let timer = Task { [self] in
      try await Task.sleep(for: .milliseconds(milliseconds))
      if number == mine { wake() }
    }
    await withCheckedContinuation { waiter = $0 }
    timer.cancel()
  }
}

/// Prints log lines with the trace.
struct TraceLog: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
  func log(event: LogEvent) {
    print("  | \(event.level) \(event.message) \(event.metadata ?? [:])")
  }
}
