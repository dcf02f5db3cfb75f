/// One check of `doctor`: what was found, what it means for backups, and what to do.
package struct Finding: Sendable, Hashable, Encodable {
  package enum Area: String, Sendable, Hashable, CaseIterable, Encodable {
    case configuration, credentials, store, bucket, repository, data, link
  }

  package enum Verdict: String, Sendable, Hashable, Comparable, Encodable {
    /// Neither good nor bad: information that helps to understand the rest.
    case note
    /// The check passed.
    case ok
    case warning, failed

    private var rank: Int {
      switch self {
      case .note: 0
      case .ok: 1
      case .warning: 2
      case .failed: 3
      }
    }

    /// The first word of a line.
    fileprivate var word: String {
      switch self {
      case .note: "note   "
      case .ok: "ok     "
      case .warning: "WARNING"
      case .failed: "FAILED "
      }
    }
    package static func < (a: Verdict, b: Verdict) -> Bool { a.rank < b.rank }
  }

  package var area: Area
  /// The name of the check: `create-if-absent`, `lifecycle`, `space`.
  package var check: String
  package var verdict: Verdict
  /// What was found.
  package var detail: String
  /// What this means for backups; nil if there is no problem.
  package var consequence: String?
  package var remedy: String?
  /// The exit code of `doctor` if this is the worst finding; nil if it is not a failure.
  package var code: ExitCode?

  private enum CodingKeys: String, CodingKey {
    case area, check, verdict, detail, consequence, remedy
  }

  package init(
    _ area: Area, _ check: String, _ verdict: Verdict, _ detail: String,
    consequence: String? = nil, remedy: String? = nil, code: ExitCode? = nil
  ) {
    self.area = area
    self.check = check
    self.verdict = verdict
    self.detail = detail
    self.consequence = consequence
    self.remedy = remedy
    self.code = verdict == .failed ? code ?? .failure : nil
  }

  package init(
    _ area: Area, _ check: String, failed error: any Error, consequence: String,
    verdict: Verdict = .failed
  ) {
    let known = LifeboatError(wording: error)
    self.init(
      area, check, verdict, known.inOneLine,
      consequence: consequence, remedy: known.hint, code: known.code)
  }
}

/// The findings of `doctor`, in the order of the checks.
package struct Diagnosis: Sendable, Encodable {
  package var findings: [Finding]
  /// The worst verdict. A note does not count.
  package var verdict: Finding.Verdict { max(findings.map(\.verdict).max() ?? .ok, .ok) }

  private enum CodingKeys: String, CodingKey { case findings, verdict }

  package init(_ findings: [Finding]) { self.findings = findings }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(findings, forKey: .findings)
    try container.encode(verdict, forKey: .verdict)
  }

  /// The code of the first failure; success if there is none.
  package var exitCode: ExitCode { findings.lazy.compactMap(\.code).first ?? .success }

  /// For people: by area, each problem with its consequence and remedy.
  package var text: String {
    var text = ""
    for area in Finding.Area.allCases {
      let found = findings.filter { $0.area == area }
      guard !found.isEmpty else { continue }
      text += "\(area.rawValue)\n" + found.map(Diagnosis.lines).joined()
    }
    let counts = [Finding.Verdict.failed, .warning].map { verdict in
      findings.count { $0.verdict == verdict }
    }
    return text
      + (counts == [0, 0]
        ? "all is well\n" : "\(counts[0]) failed, \(counted(counts[1], "warning"))\n")
  }

  private static func lines(_ finding: Finding) -> String {
    var text = "  \(finding.verdict.word)  \(finding.check): \(finding.detail)\n"
    if let consequence = finding.consequence { text += "           means: \(consequence)\n" }
    if let remedy = finding.remedy { text += "           do: \(remedy)\n" }
    return text
  }
}
