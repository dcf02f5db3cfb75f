/// Decides whether a transfer still makes progress. Pure: the caller passes the time and the byte counts.
///
/// libcurl's own low-speed limit also runs while a server thinks, so it can't tell a slow reply
/// from a stalled body; this can.
struct TransferWatch {
  enum Verdict: Equatable { case goOn, firstByteTimedOut, stalled }

  private enum Phase {
    /// libcurl's own connect timeout applies.
    case connecting
    case sending(Window)
    case waiting(since: Int64)
    case receiving(Window)
  }

  /// The byte count when the window began.
  private struct Window {
    var since: Int64
    var bytes: Int64
  }

  private let limits: HTTPLimits
  private let bodyBytes: Int64
  private var phase = Phase.connecting

  init(limits: HTTPLimits, bodyBytes: Int) {
    self.limits = limits
    self.bodyBytes = Int64(bodyBytes)
  }

  /// The connection is up and the request about to be sent. Called again when libcurl sends it once
  /// more because a kept-alive connection turned out dead.
  mutating func connected(at now: Int64) {
    phase = bodyBytes == 0 ? .waiting(since: now) : .sending(Window(since: now, bytes: 0))
  }

  /// - Parameters:
  ///   - now: milliseconds of a monotonic clock.
  ///   - sent: bytes of the request's body handed to the kernel.
  ///   - received: bytes of the reply, its headers included.
  mutating func observe(at now: Int64, sent: Int64, received: Int64) -> Verdict {
    switch phase {
    case .connecting:
      return .goOn
    case .sending(let window):
      if received > 0 {
        phase = .receiving(Window(since: now, bytes: received))
      } else if sent >= bodyBytes {
        phase = .waiting(since: now)
      } else {
        return check(window, moved: sent, at: now) { .sending($0) }
      }
      return .goOn
    case .waiting(let since):
      if received > 0 {
        phase = .receiving(Window(since: now, bytes: received))
        return .goOn
      }
      return now - since > limits.firstByte.milliseconds ? .firstByteTimedOut : .goOn
    case .receiving(let window):
      return check(window, moved: received, at: now) { .receiving($0) }
    }
  }

  private mutating func check(
    _ window: Window, moved: Int64, at now: Int64, next: (Window) -> Phase
  ) -> Verdict {
    let length = limits.slowAfter.milliseconds
    guard now - window.since >= length else { return .goOn }
    guard (moved - window.bytes) * 1000 >= Int64(limits.bytesPerSecondMin) * length else {
      return .stalled
    }
    phase = next(Window(since: now, bytes: moved))
    return .goOn
  }
}

extension Duration {
  var milliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }
}
