package import BackupFormat
package import BackupTypes

extension LogPayload {
  /// Whether a fold has the bytes of the objects that it replaced, and a mark at each position where these
  /// could be cut. Their names are enough for this check, so none of them has to be read.
  package func covers(
    _ parts: [LogSpan], in fold: LogSpan, digest: (ArraySlice<UInt8>) -> ShortDigest
  ) -> Bool {
    guard digest(bytes[...]) == fold.digest else { return false }
    let cuts = Set(marks.filter { $0.kind == .seen }.map(\.offset))
    return parts.allSatisfy { part in
      guard part.from >= fold.from, part.to <= fold.to else { return false }
      let start = Int(part.from - fold.from)
      return (part.mark == nil || part.to == fold.to || cuts.contains(part.to))
        && digest(bytes[start..<start + Int(part.count)]) == part.digest
    }
  }
}
