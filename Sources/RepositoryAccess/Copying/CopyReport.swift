package import BackupTypes
package import HistoryLogic

/// What `copy` did.
package struct CopyReport: Sendable, Encodable {
  package enum Result: String, Sendable, Encodable {
    /// The copy already had everything.
    case nothing
    /// What `--dry-run` would copy.
    case planned
    case copied
  }
  /// The most findings that are kept. Further ones are only counted.
  package static let findingsMax = 500
  static let remedy =
    "recover it from another copy or an older version, and copy again; `lifeboat verify` says which restore "
    + "points need it"

  package var result: Result
  package var repository: String
  package var location: String
  /// Where the copy is.
  package var copy: String
  package var at: String
  /// This run started the copy.
  package var isNew: Bool
  /// The copy is sealed with keys of its own.
  package var hasOwnKey: Bool
  /// The number of objects of the source.
  package var objects: Int
  /// Objects that were or would be written, and their size in the store.
  package var copiedObjects = 0
  package var copiedBytes: UInt64 = 0
  /// A new listing shows that the copy has everything that a reader of the source sees.
  package var isComplete = false
  /// Part of the history can't be copied before this time.
  package var waitsUntil: String?
  package var findings: [VerifyFinding] = []
  package var findingsLeftOut = 0
  /// The newest restore point of the copy.
  package var newest: String?
  package var newestInstant: String?

  package mutating func add(_ finding: VerifyFinding) {
    guard !findings.contains(where: { $0.object == finding.object }) else { return }
    if findings.count < CopyReport.findingsMax {
      findings.append(finding)
    } else {
      findingsLeftOut += 1
    }
  }

  package var exitCode: ExitCode {
    if findings.contains(where: \.isFailure) || findingsLeftOut > 0 { return .corrupt }
    return isComplete || result == .planned ? .success : .failure
  }

  package var text: String {
    var text = findings.map(\.text).joined()
    if findingsLeftOut > 0 { text += "and \(counted(findingsLeftOut, "more finding"))\n" }
    let what = "\(counted(copiedObjects, "object")), \(humanBytes(copiedBytes))"
    switch result {
    case .nothing: text += "\(copy): nothing to copy from \(location)\n"
    case .planned:
      text += "\(copy): would copy \(counted(copiedObjects, "object")) from \(location)\n"
    case .copied: text += "\(copy): copied \(what) from \(location)\n"
    }
    if isNew, result == .copied {
      text += hasOwnKey ? "the copy has its own key\n" : "the copy is new\n"
    }
    if let newest, let newestInstant {
      text += "newest restore point of the copy: \(newest) of \(newestInstant)\n"
    }
    if let waitsUntil {
      text += "a later part of the history waits: run the command again after \(waitsUntil)\n"
    }
    if result != .planned {
      text +=
        isComplete
        ? "complete: the copy has everything that can be restored from the source\n"
        : "NOT complete: the copy lacks a part of what the source has\n"
    }
    return text
  }
}
