package import BackupFormat
package import BackupTypes

/// One thing that `verify` has to tell of a repository.
package struct VerifyFinding: Sendable, Hashable, Encodable {
  package enum Verdict: String, Sendable, Hashable, CaseIterable, Encodable {
    /// Worth knowing, and no loss.
    case remark
    /// Something that another object refers to is not there.
    case missing
    /// What is there is not what was written.
    case damaged
  }

  package var verdict: Verdict
  /// Its name, or for what is not there the name as far as it is known.
  package var object: String
  package var detail: String
  /// Snapshots whose restore points are hurt, the first few.
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

/// What `verify` judges as one: when something in it is missing, it is looked at again as a whole, with a
/// new listing, since a shipper may have folded or written meanwhile.
package enum VerifyGroup: Sendable, Hashable {
  case repository
  case operations
  case timeline(TimelineNumber)
  case generation(GenerationID)
  case log(TimelineNumber, ordinal: Int)
}
