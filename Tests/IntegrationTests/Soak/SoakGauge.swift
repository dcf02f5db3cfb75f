import HTTPTransport
import Synchronization
import TestSupport

/// The metrics of a pod's shipper. `watch` reads them twice a second.
final class SoakGauge: Sendable {
  struct Sample: Sendable, CustomStringConvertible {
    let taken: ContinuousClock.Instant
    let logLag: Double
    let generationLag: Double
    let unshippedBytes: Double

    var isDurable: Bool { logLag == 0 && generationLag == 0 && unshippedBytes == 0 }
    var description: String {
      "log lag \(logLag) s, generation lag \(generationLag) s, \(Int(unshippedBytes)) bytes unshipped"
    }
  }

  private struct State {
    var port: UInt16?
    var last: Sample?
    var lagMax = 0.0
  }

  private static let interval = Duration.milliseconds(500)
  private let client: HTTPClient
  private let state = Mutex(State())

  init() throws {
    client = try HTTPClient(
      connectionsMax: 1, limits: HTTPLimits(), trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "soak")
  }

  /// From now on, reads the shipper whose pages are at `port`; nil if none is running.
  func look(at port: UInt16?) {
    state.withLock {
      $0.port = port
      $0.last = nil
    }
  }

  /// The last sample of the running shipper; nil before its pages are served.
  var last: Sample? { state.withLock { $0.last } }

  /// The largest lag of the log since the last call.
  func takeLagMax() -> Double {
    state.withLock { state in
      defer { state.lagMax = 0 }
      return state.lagMax
    }
  }

  /// Reads all of them until it is cancelled.
  static func watch(_ gauges: [SoakGauge]) async {
    while !Task.isCancelled {
      for gauge in gauges { await gauge.sample() }
      // A sampling interval, not a wait for a result.
      try? await Task.sleep(for: interval)
    }
  }

  private func sample() async {
    guard let port = state.withLock({ $0.port }) else { return }
    let taken = ContinuousClock().now
    // The shipper may be starting, or may just have been killed.
    guard
      let reply = try? await client.send(
        HTTPRequest(.get, "http://127.0.0.1:\(port)/metrics", route: .direct)),
      reply.status == 200
    else { return }
    let lines = String(decoding: reply.body, as: UTF8.self).split(separator: "\n")
    func value(_ name: String) -> Double? {
      lines.first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.count + 1)) }
    }
    guard let logLag = value("lifeboat_log_lag_seconds"),
      let generationLag = value("lifeboat_generation_lag_seconds"),
      let unshippedBytes = value("lifeboat_unshipped_bytes")
    else { return }
    state.withLock { state in
      guard state.port == port else { return }
      state.last = Sample(
        taken: taken, logLag: logLag, generationLag: generationLag, unshippedBytes: unshippedBytes)
      state.lagMax = max(state.lagMax, logLag)
    }
  }
}
