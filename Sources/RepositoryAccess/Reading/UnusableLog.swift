package import BackupFormat
package import BackupTypes
package import HistoryLogic

/// A listed log object that can't be used: it is damaged, or the shipper of its timeline did not write it.
///
/// `Repository.withHistory` asks again without it. A reader throws it only if other objects have the same
/// bytes, so that nothing is lost without it.
package struct UnusableLog: Error {
  package var name: ObjectPath
  package var reason: String
  package init(name: ObjectPath, reason: String) {
    self.name = name
    self.reason = reason
  }
}

extension History {
  /// The same history without some log objects, which are listed as unusable.
  package func disregarding(_ names: [ObjectPath: String]) throws -> History {
    guard !names.isEmpty else { return self }
    return try History(
      catalogue: catalogue.disregarding(names.mapValues { .some($0) }), claims: claims,
      unreadable: unreadable, cutOff: cutOff)
  }
}

extension HistoryReader {
  /// How many objects inside another one are read, if that one lacks their marks.
  private static let partReadsMax = 64

  /// A log object that was read.
  package enum LogReading: Sendable {
    case payload(LogPayload)
    case gone
    case unusable(LifeboatError)
  }

  package func log(_ name: ObjectPath, _ timeline: TimelineNumber, _ span: LogSpan) async throws
    -> LogReading
  {
    func unusable(_ reason: String) -> LogReading {
      .unusable(LifeboatError(.corrupt, "the object \(name.text) can't be used", cause: reason))
    }
    do {
      guard
        let content = try await repository.content(name, kind: .log, limit: LogPayload.sizeMax)
      else { return .gone }
      let payload = try LogPayload(decoding: content, span: span)
      guard repository.frame.digest(payload.bytes).short == span.digest else {
        return unusable("it does not match the digest in its name")
      }
      guard payload.nonce == history.claims[timeline]?.nonce else {
        return unusable("it was not written by the shipper of its timeline")
      }
      return .payload(payload)
    } catch let error as LifeboatError where error.isDamage {
      return .unusable(error)
    }
  }

  /// The marks inside a log object. If the object is missing or damaged, and no other has its bytes, none of
  /// them can be restored; the restore points before it remain.
  /// - Throws: `UnusableLog` if other objects have its bytes.
  package func marks(of name: ObjectPath) async throws -> [Mark] {
    guard case .log(let timeline, let ordinal, let span) = name else { return [] }
    switch try await log(name, timeline, span) {
    case .gone: return []
    case .unusable(let error):
      guard history.catalogue.hasElsewhere(name) else { return [] }
      throw UnusableLog(name: name, reason: error.reason)
    case .payload(let payload):
      // A fold has the marks of what it replaced. Anyone who may create objects could put one there that
      // has not. The names of the objects inside it are not authenticated either, so they are read.
      let parts = history.catalogue.timelines[timeline]?.log[ordinal] ?? []
      guard history.catalogue.hasElsewhere(name) else { return payload.marks }
      for part in payload.lacking(parts, in: span).prefix(HistoryReader.partReadsMax) {
        let path = ObjectPath.log(timeline, ordinal: ordinal, part)
        guard case .payload = try await log(path, timeline, part) else { continue }
        throw UnusableLog(
          name: name, reason: "it lacks the mark at the end of \(path.text), which is inside it")
      }
      return payload.marks
    }
  }
}
