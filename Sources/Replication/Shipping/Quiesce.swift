import BackupLogic
import SystemIO

/// A requested end while there is no claim. A server that is ending too may still write.
struct Quiesce {
  private static let quiet: Int64 = 2000
  private let deadline: Int64
  private var lastChange = SystemClock.monotonicMilliseconds()
  private var last: CaptureView?
  private var temporaryDumps = ""

  init(timeout: Int64) { deadline = SystemClock.monotonicMilliseconds() + timeout }

  mutating func note(_ view: CaptureView, _ temporary: String) {
    if last.map({ !$0.isSame(as: view) }) ?? false || temporary != temporaryDumps {
      lastChange = SystemClock.monotonicMilliseconds()
    }
    last = view
    temporaryDumps = temporary
  }

  var isOver: Bool {
    let now = SystemClock.monotonicMilliseconds()
    return now - lastChange >= Quiesce.quiet || now >= deadline
  }
}
