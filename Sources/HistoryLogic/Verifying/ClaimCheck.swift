package import BackupFormat
package import BackupTypes

/// The longest text in a claim: its source, instance, directory or writer.
private let claimTextBytesMax = 16 << 10

/// What is wrong with a claim itself; nil if nothing is.
package func claimProblem(_ claim: Claim, number: TimelineNumber, repository: Nonce) -> String? {
  if claim.timeline != number {
    return "it claims timeline \(claim.timeline)"
  }
  if claim.repository != repository {
    return "it belongs to the repository \(claim.repository), or lifeboat.json is damaged"
  }
  // Readers hold every claim.
  let texts: [String?] = [
    claim.source, claim.instance, claim.directory, claim.writer, claim.suspicion?.reason.rawValue,
    claim.suspicion?.detail, claim.suspicion?.pin, claim.place?.boot, claim.place?.device,
    claim.place?.volume,
  ]
  if texts.contains(where: { $0?.utf8.count ?? 0 > claimTextBytesMax }) {
    return "it has a text that is too long (the limit is \(humanBytes(UInt64(claimTextBytesMax))))"
  }
  if let parent = claim.parent {
    if parent >= number { return "it names timeline \(parent) as its parent" }
    if claim.end == nil { return "it names a parent timeline, but not where that one ends" }
  }
  return nil
}
