package import BackupFormat
package import BackupTypes

/// One result of `verify` for a repository.
package struct VerifyFinding: Sendable, Hashable, Encodable {
  package enum Verdict: String, Sendable, Hashable, CaseIterable, Encodable {
    /// Worth knowing, but not a loss.
    case remark
    /// Another object refers to something that does not exist.
    case missing
    /// The content is not what was written.
    case damaged
  }

  package var verdict: Verdict
  /// Its name or, for a missing object, the known part of its name.
  package var object: String
  package var detail: String
  /// The first few snapshots whose restore points are affected.
  package var points: [String]
  package var consequence: String?
  package var remedy: String?

  package init(
    _ verdict: Verdict, _ object: String, _ detail: String, points: [String] = [],
    consequence: String? = nil, remedy: String? = nil
  ) {
    self.verdict = verdict
    self.object = object
    self.detail = detail
    self.points = points
    self.consequence = consequence
    self.remedy = remedy
  }

  package var isFailure: Bool { verdict != .remark }

  package var text: String {
    var text = "\(verdict.rawValue.uppercased())  \(object): \(detail)\n"
    if let consequence { text += "  means: \(consequence)\n" }
    if !points.isEmpty { text += "  restore points: \(points.joined(separator: ", "))\n" }
    if let remedy { text += "  do: \(remedy)\n" }
    return text
  }
}

/// A unit that `verify` judges as a whole. If something in it is missing, the whole unit is checked again
/// with a new listing, since a shipper may have folded or written meanwhile.
package enum VerifyGroup: Sendable, Hashable {
  case repository
  case operations
  case timeline(TimelineNumber)
  case generation(GenerationID)
  case log(TimelineNumber, ordinal: Int)
}
