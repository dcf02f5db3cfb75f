/// The figures of a running shipper that the page of its repository shows.
package struct LiveView: Sendable, Equatable {
  package var state: String
  package var reason: String?
  package var source: String
  package var lagSeconds: Double
  /// Whether the lag is known. It is not before the first look.
  package var isLagKnown: Bool
  package var unshippedBytes: UInt64
  package var recoverableTo: String?
  package var storeAwaySince: String?
  /// `unreachable`, `denied`, `refused`.
  package var storeProblem: String?
  package var isSuspect: Bool
  /// Whether the repository is being read.
  package var isReading: Bool
  /// Why the last attempt to read it failed.
  package var problem: String?
  /// There is provably no repository.
  package var isAbsent: Bool

  package init(
    state: String, reason: String? = nil, source: String, lagSeconds: Double = 0,
    isLagKnown: Bool = true,
    unshippedBytes: UInt64 = 0, recoverableTo: String? = nil, storeAwaySince: String? = nil,
    storeProblem: String? = nil, isSuspect: Bool = false, isReading: Bool = false,
    problem: String? = nil, isAbsent: Bool = false
  ) {
    self.state = state
    self.reason = reason
    self.source = source
    self.lagSeconds = lagSeconds
    self.isLagKnown = isLagKnown
    self.unshippedBytes = unshippedBytes
    self.recoverableTo = recoverableTo
    self.storeAwaySince = storeAwaySince
    self.storeProblem = storeProblem
    self.isSuspect = isSuspect
    self.isReading = isReading
    self.problem = problem
    self.isAbsent = isAbsent
  }
}
