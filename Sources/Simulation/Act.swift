import TestSupport

/// One thing that happens in a world. Its random numbers come from the seed and its own number, so the acts
/// of a shortened list still do the same.
struct Act: CustomStringConvertible {
  enum Kind: String, CaseIterable {
    case write, burst, writePartly, flush
    case rewriteBegins, rewriteEnds, rewriteFails, saveBegins, saveEnds, switchOff, switchOn
    case serverIsKilled, powerIsLost, serverStops, serverStarts
    case sidecarDies, sidecarStops, sidecarStarts, secondSidecar, once
    case outage, denied, wait, check, settle
    case wallSteps, volumeMoves, isTouched
    case restoreReplaces, prune, night
    case sync, dumpIsCopied, isUnmounted, storeForgets, storeIsWiped
    case standbyIsDenied, isEmptied

    /// How often it is drawn, relative to the others.
    var weight: Int {
      switch self {
      case .write: 14
      case .burst, .check: 8
      case .rewriteBegins, .rewriteEnds: 7
      case .dumpIsCopied: 6
      case .wait, .sync, .prune, .standbyIsDenied: 5
      case .writePartly, .saveBegins, .saveEnds, .sidecarDies, .sidecarStarts, .serverStarts,
        .night:
        4
      case .flush, .rewriteFails, .serverIsKilled, .outage, .switchOn, .isEmptied: 3
      case .switchOff, .powerIsLost, .serverStops, .sidecarStops, .once, .settle,
        .restoreReplaces, .volumeMoves, .secondSidecar, .isUnmounted, .storeForgets, .wallSteps,
        .denied, .isTouched, .storeIsWiped:
        2
      }
    }
  }

  var number: Int
  var kind: Kind
  var description: String { "\(number):\(kind.rawValue)" }

  private static let bag = Kind.allCases.flatMap { Array(repeating: $0, count: $0.weight) }

  static func draw(seed: UInt64) -> [Act] {
    var random = SeededRandom(seed: seed ^ 0xac75)
    return (0..<Int.random(in: 10...60, using: &random)).map {
      Act(number: $0, kind: bag.randomElement(using: &random)!)
    }
  }
}
