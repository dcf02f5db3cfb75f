package import BackupFormat
package import BackupTypes

/// What is wrong with a claim itself; nil if nothing is.
package func claimProblem(_ claim: Claim, number: TimelineNumber, repository: Nonce) -> String? {
  if claim.timeline != number {
    return "it claims timeline \(claim.timeline)"
  }
  if claim.repository != repository {
    return "it belongs to the repository \(claim.repository), or lifeboat.json is damaged"
  }
  if let parent = claim.parent {
    if parent >= number { return "it names timeline \(parent) as its parent" }
    if claim.end == nil { return "it names a parent timeline, but not where that one ends" }
  }
  return nil
}
