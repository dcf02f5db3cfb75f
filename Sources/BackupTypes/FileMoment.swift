/// A file's time stamp in full resolution.
package struct FileMoment: Hashable, Comparable, Sendable {
  package var seconds: Int64
  package var nanoseconds: Int64
  package init(seconds: Int64, nanoseconds: Int64) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }
  package static func < (a: FileMoment, b: FileMoment) -> Bool {
    (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
  }
  package var instant: Instant {
    Instant(seconds: seconds).advanced(byMilliseconds: nanoseconds / 1_000_000)
  }
}
