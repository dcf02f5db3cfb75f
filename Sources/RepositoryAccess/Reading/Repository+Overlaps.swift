package import BackupFormat
package import BackupTypes
package import HistoryLogic
import ObjectStorage

/// Finds log objects that the shipper of their timeline did not write, if their names make them doubtful
/// (`LogOverlap`). A listing does not authenticate names, so a doubtful object is read. If it can't be used,
/// it does not exist, and hides nothing.
extension Repository {
  /// How many such objects a reader reads. Normally there are very few; more of them were created by somebody
  /// else.
  static let overlapReadsMax = 64
  /// The same for a run of retention, which must know all of them.
  static let overlapReadsInPruneMax = 1000

  private enum LogStanding {
    /// The shipper wrote it. These objects inside it do not have the same bytes.
    case genuine(contradicts: [LogSpan])
    case gone
    case unusable(String)
  }

  /// For `verify`, which reads every object anyway.
  package func withoutForgedLog(_ catalogue: Catalogue, _ claims: [TimelineNumber: Claim])
    async throws -> Catalogue
  {
    try await withoutForgedLog(
      catalogue, claims, readsMax: Repository.overlapReadsInPruneMax, isComplete: false)
  }

  /// The catalogue without forged log objects, which it lists as unusable. If two objects are both intact and
  /// contradict each other, both stay, and are listed as contradicting.
  /// - Parameter isComplete: whether all of them have to be read. Otherwise it stops after `readsMax`
  ///   objects.
  /// - Throws: `.corrupt` if `readsMax` does not suffice and `isComplete`.
  func withoutForgedLog(
    _ whole: Catalogue, _ claims: [TimelineNumber: Claim], readsMax: Int, isComplete: Bool
  ) async throws -> Catalogue {
    var catalogue = whole
    var reads = 0
    for (number, claim) in claims.sorted(by: { $0.key > $1.key }) {
      for ordinal in (whole.timelines[number]?.log ?? [:]).keys.sorted(by: >) {
        func path(_ span: LogSpan) -> ObjectPath { .log(number, ordinal: ordinal, span) }
        var genuine: [LogSpan: [LogSpan]] = [:]
        while true {
          let spans = catalogue.timelines[number]?.log[ordinal] ?? []
          let overlaps = LogOverlap.found(in: spans)
          let doubtful: [(LogSpan, [LogSpan])] =
            overlaps.map { ($0.span, $0.parts) }
            + overlaps.flatMap { genuine[$0.span] ?? [] }.map { ($0, []) }
          let unread = doubtful.filter { genuine[$0.0] == nil && spans.contains($0.0) }
          guard !unread.isEmpty else {
            for overlap in overlaps {
              let others = (overlap.crosses.map { [$0] } ?? []) + (genuine[overlap.span] ?? [])
              for other in others where spans.contains(other) {
                catalogue.noteContradiction(path(overlap.span), path(other))
              }
            }
            break
          }
          for (span, parts) in unread where genuine[span] == nil {
            guard reads < readsMax else {
              if isComplete { throw tooMany(readsMax) }
              return catalogue
            }
            reads += 1
            switch try await logStanding(path(span), span, claim.nonce, parts) {
            case .genuine(let contradicted): genuine[span] = contradicted
            case .gone: catalogue = catalogue.disregarding([path(span): nil])
            case .unusable(let reason): catalogue = catalogue.disregarding([path(span): reason])
            }
          }
        }
      }
    }
    return catalogue
  }

  /// The last log object of a restore point, if it can't be used. A listing shows only its name, and anyone
  /// who may create objects can create one after the end of a log.
  package func unusableEnd(of point: RestorePoint, in history: History) async throws -> ObjectPath?
  {
    guard point.primary == .aof,
      let last = history.chain(of: point.snapshot).lastObject,
      let nonce = history.claims[last.segment.timeline]?.nonce
    else { return nil }
    let path = ObjectPath.log(last.segment.timeline, ordinal: last.segment.ordinal, last.span)
    guard case .unusable = try await logStanding(path, last.span, nonce, []) else { return nil }
    return path
  }

  private func tooMany(_ count: Int) -> LifeboatError {
    LifeboatError(
      .corrupt,
      "nothing was deleted at \(store.location): more than \(counted(count, "log object")) with bytes that "
        + "others have",
      cause: "a shipper makes few of these: somebody else may write to the repository",
      hint:
        "`lifeboat verify` names those that can't be used: find out who wrote them, and delete them"
    )
  }

  /// What a log object is, by its content.
  /// - Parameter parts: objects inside it, which must have its bytes.
  private func logStanding(_ path: ObjectPath, _ span: LogSpan, _ nonce: Nonce, _ parts: [LogSpan])
    async throws -> LogStanding
  {
    do {
      guard let content = try await content(path, kind: .log, limit: LogPayload.sizeMax) else {
        return .gone
      }
      let payload = try LogPayload(decoding: content, span: span)
      func digest(_ bytes: ArraySlice<UInt8>) -> ShortDigest {
        bytes.withUnsafeBytes { frame.digest($0).short }
      }
      guard digest(payload.bytes[...]) == span.digest else {
        return .unusable("it does not match the digest in its name")
      }
      guard payload.nonce == nonce else {
        return .unusable("it was not written by the shipper of its timeline")
      }
      return .genuine(
        contradicts: parts.filter { part in
          let start = Int(part.from - span.from)
          return digest(payload.bytes[start..<start + Int(part.count)]) != part.digest
        })
    } catch let error as LifeboatError where error.isDamage {
      return .unusable(error.reason)
    } catch let error as LifeboatError where error.code == .versionMismatch {
      return .genuine(contradicts: [])
    }
  }
}
