import BackupTypes
package import HistoryLogic

/// What `verify` found.
package struct VerifyReport: Sendable, Encodable {
  /// This many findings are kept; the others are only counted.
  package static let findingsMax = 1000

  package var repository: String
  package var location: String
  package var at: String
  /// The percentage of pieces and log objects that were read. Absent if all were.
  package var sample: Double?
  package var objects: Int
  package var bytes: UInt64
  package var foreignObjects: Int
  /// Objects that were read, and their bytes in the store.
  package var objectsRead: Int
  package var bytesRead: UInt64
  package var isSound: Bool
  package var findings: [VerifyFinding]
  package var findingsLeftOut: Int
  /// Generations that this run has quarantined.
  package var quarantined: [String]

  package var text: String {
    var text = ""
    for finding in findings { text += finding.text }
    if findingsLeftOut > 0 { text += "and \(counted(findingsLeftOut, "more finding"))\n" }
    for id in quarantined {
      text +=
        "quarantined: \(id) now counts as absent, and is uploaded again if the file is still on disk\n"
    }
    text +=
      "\(location): read \(objectsRead) of \(counted(objects, "object")), \(humanBytes(bytesRead)) of "
    text += "\(humanBytes(bytes))"
    if let sample { text += " (a sample of \(sample) %)" }
    let failures = findings.count { $0.isFailure }
    return text + (isSound ? ": sound\n" : ": NOT sound, \(counted(failures, "finding"))\n")
  }
}
