/// A file's timestamp in full resolution, by the clock of the file system's host.
package struct FileMoment: Hashable, Comparable, Sendable {
  /// Seconds since 1970-01-01T00:00:00Z.
  package var seconds: Int64
  /// 0 to 999 999 999.
  package var nanoseconds: Int64
  package init(seconds: Int64, nanoseconds: Int64) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }
  package static func < (a: FileMoment, b: FileMoment) -> Bool {
    (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
  }
  /// Rounded down to a millisecond. Saturates, since a file system can return any value.
  package var instant: Instant {
    Instant(seconds: seconds).advanced(byMilliseconds: nanoseconds / 1_000_000)
  }
}
