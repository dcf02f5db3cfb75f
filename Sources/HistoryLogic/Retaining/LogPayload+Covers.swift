package import BackupFormat
package import BackupTypes

extension LogPayload {
  /// Whether a fold has the bytes of the objects that it replaced, and a mark at each position where these
  /// could be cut. Their names are enough for this check, so none of them has to be read.
  package func covers(
    _ parts: [LogSpan], in fold: LogSpan, digest: (ArraySlice<UInt8>) -> ShortDigest
  ) -> Bool {
    digest(bytes[...]) == fold.digest && differing(parts, in: fold, digest: digest).isEmpty
  }

  /// The objects whose bytes a fold does not have, or at whose end it lacks a mark.
  package func differing(
    _ parts: [LogSpan], in fold: LogSpan, digest: (ArraySlice<UInt8>) -> ShortDigest
  ) -> [LogSpan] {
    let lacking = Set(lacking(parts, in: fold))
    return parts.filter { part in
      guard part.from >= fold.from, part.to <= fold.to, !lacking.contains(part) else { return true }
      let start = Int(part.from - fold.from)
      return digest(bytes[start..<start + Int(part.count)]) != part.digest
    }
  }

  /// The objects inside a fold at whose end the log could be cut, although the fold has no mark there.
  package func lacking(_ parts: [LogSpan], in fold: LogSpan) -> [LogSpan] {
    let cuts = Set(marks.filter { $0.kind == .seen }.map(\.offset))
    return parts.filter { part in
      part.from >= fold.from && part.to < fold.to && part.mark != nil && !cuts.contains(part.to)
    }
  }
}
