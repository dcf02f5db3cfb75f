package import BackupTypes

extension Instant {
  /// Reads the fixed form of RFC 9110's HTTP-date, `Sun, 22 Nov 2026 14:02:07 GMT`; nil for anything else,
  /// including the obsolete forms.
  package init?(httpDate text: String) {
    let parts = text.split(separator: " ").map(String.init)
    let months = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: parts[2]),
      let day = Int(parts[1]), parts[3].utf8.count == 4
    else { return nil }
    let standard = "\(parts[3])-\(decimal(month + 1, width: 2))-\(decimal(day, width: 2))"
    do throws(TimeSyntaxError) {
      try self.init(parsing: "\(standard)T\(parts[4])Z", now: Instant(milliseconds: 0))
    } catch {
      return nil
    }
  }

  /// `Sun, 22 Nov 2026 14:02:07 GMT`. Years outside of 0 to 9999 are written as `@ms`.
  package var httpDate: String {
    let text = description
    let fields = text.split { "-T:.Z".contains($0) }
    guard fields.count >= 6, let month = Int(fields[1]) else { return text }
    let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]  // 1970-01-01 was a Thursday.
    let months = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    let days = Int((Double(milliseconds) / 86_400_000).rounded(.down))
    let name = names[((days % 7) + 7) % 7]
    return "\(name), \(fields[2]) \(months[month - 1]) \(fields[0])"
      + " \(fields[3]):\(fields[4]):\(fields[5]) GMT"
  }
}
