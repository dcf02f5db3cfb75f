/// A point in wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
///
/// Instants are labels and never define an order. The order in a repository is (timeline, sequence,
/// position).
package struct Instant: Hashable, Comparable, Sendable {
  package var milliseconds: Int64

  package init(milliseconds: Int64) { self.milliseconds = milliseconds }
  package init(seconds: Int64) {
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
    self.milliseconds = overflow ? (seconds < 0 ? .min : .max) : product
  }

  package static func < (a: Instant, b: Instant) -> Bool { a.milliseconds < b.milliseconds }

  /// Milliseconds from `other` to `self`. Saturates instead of trapping, since instants can come from a file
  /// or a bucket.
  package func since(_ other: Instant) -> Int64 {
    let (difference, overflow) = milliseconds.subtractingReportingOverflow(other.milliseconds)
    return overflow ? (milliseconds < 0 ? .min : .max) : difference
  }

  package func advanced(byMilliseconds delta: Int64) -> Instant {
    let (sum, overflow) = milliseconds.addingReportingOverflow(delta)
    return Instant(milliseconds: overflow ? (delta < 0 ? .min : .max) : sum)
  }
}

extension Instant: CustomStringConvertible {
  /// RFC 3339 in UTC, `2026-11-22T14:02:07Z`; milliseconds are only shown if they are not 0. An instant
  /// outside the years 0 to 9999, which only hostile input produces, is shown as `@ms`.
  package var description: String {
    guard let civil = CivilDate(daysSinceEpoch: milliseconds.flooredDivision(by: 86_400_000))
    else { return "@\(milliseconds)" }
    let ofDay = milliseconds.flooredRemainder(by: 86_400_000)
    let (hour, minute, second) = (ofDay / 3_600_000, ofDay / 60_000 % 60, ofDay / 1000 % 60)
    let milli = ofDay % 1000
    let fraction = milli == 0 ? "" : "." + decimal(milli, width: 3)
    return decimal(civil.year, width: 4) + "-" + decimal(civil.month, width: 2) + "-"
      + decimal(civil.day, width: 2) + "T" + decimal(hour, width: 2) + ":"
      + decimal(minute, width: 2) + ":" + decimal(second, width: 2) + fraction + "Z"
  }
}

extension Instant: Codable {
  package init(from decoder: any Decoder) throws {
    milliseconds = try decoder.singleValueContainer().decode(Int64.self)
  }
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(milliseconds)
  }
}

extension Instant {
  /// Parses RFC 3339 with a zone, `-15m` (relative to `now`; units s, m, h, d, w), unix seconds, or, with 13
  /// digits, unix milliseconds. A time without a zone is refused, because it would be ambiguous.
  package init(parsing text: String, now: Instant) throws(TimeSyntaxError) {
    let bytes = Array(text.utf8)
    if bytes.first == UInt8(ascii: "-") {
      self = try Instant.relative(bytes.dropFirst(), now: now, text: text)
    } else if !bytes.isEmpty, bytes.allSatisfy({ $0 >= 48 && $0 <= 57 }) {
      guard let number = Int64(text) else {
        throw TimeSyntaxError(text: text, problem: .unreadable)
      }
      // As seconds, 13 digits would be a time after the year 33,000.
      self = bytes.count == 13 ? Instant(milliseconds: number) : Instant(seconds: number)
    } else {
      self = try Instant.rfc3339(bytes, text: text)
    }
  }

  private static func relative(_ bytes: ArraySlice<UInt8>, now: Instant, text: String)
    throws(TimeSyntaxError) -> Instant
  {
    let units: [UInt8: Int64] = [
      UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3600,
      UInt8(ascii: "d"): 86_400, UInt8(ascii: "w"): 604_800,
    ]
    guard let last = bytes.last, let unit = units[last],
      let count = Int64(String(decoding: bytes.dropLast(), as: UTF8.self)), count >= 0,
      count < 1_000_000_000
    else { throw TimeSyntaxError(text: text, problem: .unreadable) }
    return now.advanced(byMilliseconds: -count * unit * 1000)
  }

  private static func rfc3339(_ b: [UInt8], text: String) throws(TimeSyntaxError) -> Instant {
    func number(_ range: Range<Int>) -> Int64? {
      guard range.upperBound <= b.count else { return nil }
      var value: Int64 = 0
      for byte in b[range] {
        guard byte >= 48, byte <= 57 else { return nil }
        value = value * 10 + Int64(byte - 48)
      }
      return value
    }
    func at(_ index: Int, _ characters: String) -> Bool {
      index < b.count && characters.utf8.contains(b[index])
    }
    guard let year = number(0..<4), at(4, "-"), let month = number(5..<7), at(7, "-"),
      let day = number(8..<10), at(10, "Tt "), let hour = number(11..<13), at(13, ":"),
      let minute = number(14..<16), at(16, ":"), let second = number(17..<19),
      (1...12).contains(month), day >= 1, day <= CivilDate.days(in: month, of: year), hour < 24,
      minute < 60, second < 61
    else { throw TimeSyntaxError(text: text, problem: .unreadable) }
    var index = 19
    var milli: Int64 = 0
    if at(index, ".") {
      index += 1
      var scale: Int64 = 100
      while index < b.count, b[index] >= 48, b[index] <= 57 {
        milli += Int64(b[index] - 48) * scale
        scale /= 10
        index += 1
      }
    }
    guard index < b.count else { throw TimeSyntaxError(text: text, problem: .noZone) }
    var offsetMinutes: Int64 = 0
    if at(index, "Zz") {
      index += 1
    } else if at(index, "+-"), let h = number(index + 1..<index + 3), at(index + 3, ":"),
      let m = number(index + 4..<index + 6), h < 24, m < 60
    {
      offsetMinutes = (h * 60 + m) * (b[index] == UInt8(ascii: "-") ? -1 : 1)
      index += 6
    }
    guard index == b.count else { throw TimeSyntaxError(text: text, problem: .unreadable) }
    let days = CivilDate.daysSinceEpoch(year: year, month: month, day: day)
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offsetMinutes * 60
    return Instant(milliseconds: seconds * 1000 + milli)
  }
}

/// Why a time given by a person can't be used.
package struct TimeSyntaxError: Error, Equatable {
  package enum Problem: Sendable { case unreadable, noZone }
  package var text: String
  package var problem: Problem
}

/// A date of the proleptic Gregorian calendar, by Howard Hinnant's `civil_from_days` arithmetic.
private struct CivilDate {
  var year: Int64, month: Int64, day: Int64

  init?(daysSinceEpoch days: Int64) {
    guard days > -719_528, days < 2_932_897 else { return nil }
    let z = days + 719_468
    let era = z.flooredDivision(by: 146_097)
    let dayOfEra = z - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shifted + 2) / 5 + 1
    month = shifted < 10 ? shifted + 3 : shifted - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// The number of days in a month (1 to 12).
  static func days(in month: Int64, of year: Int64) -> Int64 {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
    let y = month <= 2 ? year - 1 : year
    let era = y.flooredDivision(by: 400)
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

extension Int64 {
  fileprivate func flooredDivision(by divisor: Int64) -> Int64 {
    self / divisor - (self % divisor < 0 ? 1 : 0)
  }
  fileprivate func flooredRemainder(by divisor: Int64) -> Int64 {
    (self % divisor + divisor) % divisor
  }
}
