import BackupLogic

/// A requested end while there is no claim. A server that is ending too may still write.
struct Quiesce {
  private static let quiet: Int64 = 2000
  private let deadline: Int64
  private var lastChange: Int64
  private var last: CaptureView?
  private var temporaryDumps = ""

  init(now: Int64, timeout: Int64) {
    deadline = now + timeout
    lastChange = now
  }

  mutating func note(_ view: CaptureView, _ temporary: String, now: Int64) {
    if last.map({ !$0.isSame(as: view) }) ?? false || temporary != temporaryDumps {
      lastChange = now
    }
    last = view
    temporaryDumps = temporary
  }

  func isOver(_ now: Int64) -> Bool { now - lastChange >= Quiesce.quiet || now >= deadline }
}
