/// Decides when a full copy may be requested after copies that failed. Each request makes the server fork.
///
/// The first copy that fails is requested again at once. After that, each further copy that fails doubles the
/// wait, so that a fault that stays, for example a store that denies every upload, costs the server few forks.
struct CopyRequests: Sendable {
  static let shortest: Int64 = 30_000
  static let longest: Int64 = 900_000

  /// How many copies in a row failed.
  private(set) var failures = 0
  private var requestedAt: Int64?
  private var notBefore: Int64 = 0

  /// - Parameter now: by the monotonic clock, in milliseconds, here and below.
  mutating func requested(now: Int64) { requestedAt = now }

  /// Notes what became of the copy that was requested last. Nothing, if that was noted before.
  mutating func ended(isRestorable: Bool, now: Int64) {
    guard let begun = requestedAt else { return }
    requestedAt = nil
    failures = isRestorable ? 0 : failures + 1
    guard failures > 1 else { return }
    // A copy that takes minutes is not requested again within seconds.
    let doubled = CopyRequests.shortest << min(Int64(failures - 2), 20)
    notBefore = now + min(max(doubled, now - begun), CopyRequests.longest)
  }

  /// How long to wait before the next request, in milliseconds. Nil: it may be requested now.
  func wait(now: Int64) -> Int64? { failures > 1 && now < notBefore ? notBefore - now : nil }
}
