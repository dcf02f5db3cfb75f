import BackupTypes
package import HistoryLogic

/// A restore that is requested by a setting that stays, for example in the manifest of a pod that is kept in
/// git. Each id is performed once, whatever is on the volume at that time.
package struct StandingRequest: Sendable, Equatable {
  package var id: String
  package var question: Question

  /// How many requests a volume remembers. Any further one is refused.
  package static let requestsMax = 1000

  private static let form =
    "it is `ID at=TIME`, `ID point=POINT`, `ID before=COMMAND` or `ID newest`; an ID has 1 to 64 of "
    + "A-Z a-z 0-9 . _ -"

  /// Nil if there is nothing but white space.
  ///
  /// - Throws: `.usage`, also for a time relative to now, which would be a different time at each start.
  package init?(parsing text: String, command: (String) throws -> String) throws {
    let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
    guard let id = words.first else { return nil }
    func refuse(_ cause: String) -> LifeboatError {
      LifeboatError(
        .usage, "the restore request \(printable(text)) is invalid", cause: cause,
        hint: StandingRequest.form)
    }
    guard (1...64).contains(id.utf8.count), id.utf8.allSatisfy(StandingRequest.isPart) else {
      throw refuse("\(printable(id)) is not an id")
    }
    self.id = id
    let wish = words.dropFirst().joined(separator: " ")
    let value = wish.firstIndex(of: "=").map { String(wish[wish.index(after: $0)...]) } ?? ""
    switch wish.prefix(while: { $0 != "=" }) {
    case "newest" where wish == "newest": question = .newest(.newest)
    case "point" where PointID(value) != nil: question = .point(value)
    case "before" where !value.isEmpty: question = .before(try command(value))
    case "at":
      guard !value.hasPrefix("-") else {
        throw refuse("a relative time would change with each start")
      }
      guard let time = try? Instant(parsing: value, now: Instant(milliseconds: 0)) else {
        throw refuse("\(printable(value)) is not a time")
      }
      question = .at(time)
    default: throw refuse("it does not say which state to restore")
    }
  }

  private static func isPart(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
