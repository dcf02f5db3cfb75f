package import BackupTypes

/// Identifies one dump or BASE in a repository: `<fingerprint>-<nonce of the claim that wrote it>`.
///
/// The fingerprint recognises a file that is already stored. The nonce ensures that no other writer ever
/// adopts a generation that was not proved complete.
package struct GenerationID: Hashable, Sendable {
  package var fingerprint: ShortDigest
  package var nonce: Nonce

  package init(fingerprint: ShortDigest, nonce: Nonce) {
    self.fingerprint = fingerprint
    self.nonce = nonce
  }

  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let fingerprint = ShortDigest(hexadecimal: parts[0]),
      let nonce = Nonce(hexadecimal: parts[1])
    else { return nil }
    self.init(fingerprint: fingerprint, nonce: nonce)
  }
}

extension GenerationID: CustomStringConvertible, Codable {
  package var description: String { fingerprint.hexadecimal + "-" + nonce.hexadecimal }
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let id = GenerationID(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a generation id")
    }
    self = id
  }
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// The part of a log object's name that says which bytes it holds.
package struct LogSpan: Hashable, Sendable {
  package static let offsetDigits = 16
  package static let timeDigits = 13
  /// Offsets into Redis's file, `from` inclusive, `to` exclusive; `from < to`.
  package var from: UInt64
  package var to: UInt64
  /// The mark at `to`: when the file had reached that offset. Nil (written as zeros) if the object ends
  /// inside a command that is larger than an object, or inside the initial content of a legacy AOF. Such an
  /// end is not a restore point.
  package var mark: Instant?
  /// The digest of the bytes alone, without the marks, so that a file on disk can be compared with the
  /// listing.
  package var digest: ShortDigest

  package init(from: UInt64, to: UInt64, mark: Instant?, digest: ShortDigest) {
    self.from = from
    self.to = to
    self.mark = mark
    self.digest = digest
  }

  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 4, let from = fixed(parts[0], LogSpan.offsetDigits),
      let to = fixed(parts[1], LogSpan.offsetDigits), from < to,
      let time = fixed(parts[2], LogSpan.timeDigits),
      let digest = ShortDigest(hexadecimal: parts[3])
    else { return nil }
    self.init(
      from: from, to: to, mark: time == 0 ? nil : Instant(milliseconds: Int64(time)), digest: digest
    )
  }
}

extension LogSpan: CustomStringConvertible {
  package var description: String {
    decimal(from, width: LogSpan.offsetDigits) + "-" + decimal(to, width: LogSpan.offsetDigits)
      + "-" + decimal(mark?.milliseconds ?? 0, width: LogSpan.timeDigits) + "-" + digest.hexadecimal
  }
  package var count: UInt64 { to - from }
}

/// The subject of an operation by a person or by the guard. Each has its own folder under `ops/`.
package enum OperationKind: String, Sendable, CaseIterable {
  case pins, releases, drills, quarantines, prunes, requests
  /// Objects that a probe of the store writes and deletes. They are never read as records.
  case probes
}

/// Every name that format 1 knows. Names come from a bucket and are untrusted: a name that does not parse
/// is foreign, and is never used as a path.
package enum ObjectPath: Hashable, Sendable {
  case descriptor
  case key(String)
  case piece(GenerationID, number: Int, ShortDigest)
  case index(GenerationID)
  case claim(TimelineNumber)
  case snapshot(TimelineNumber, sequence: Int)
  case log(TimelineNumber, ordinal: Int, LogSpan)
  case operation(OperationKind, id: String)

  package static let sequenceDigits = 8
  package static let pieceDigits = 8

  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    switch (parts.first, parts.count) {
    case ("lifeboat.json", 1): self = .descriptor
    case ("keys", 2) where isIdentifier(parts[1]): self = .key(String(parts[1]))
    case ("generations", 3):
      guard let id = GenerationID(parts[1]) else { return nil }
      if parts[2] == "index" {
        self = .index(id)
        return
      }
      let piece = parts[2].split(separator: "-", omittingEmptySubsequences: false)
      guard piece.count == 2, let number = fixed(piece[0], ObjectPath.pieceDigits),
        let digest = ShortDigest(hexadecimal: piece[1])
      else { return nil }
      self = .piece(id, number: Int(number), digest)
    case ("timelines", 3) where parts[2] == "claim":
      guard let timeline = timelineNumber(parts[1]) else { return nil }
      self = .claim(timeline)
    case ("timelines", 4) where parts[2] == "snapshots":
      guard let timeline = timelineNumber(parts[1]),
        let sequence = fixed(parts[3], ObjectPath.sequenceDigits), sequence > 0
      else { return nil }
      self = .snapshot(timeline, sequence: Int(sequence))
    case ("timelines", 5) where parts[2] == "log":
      guard let timeline = timelineNumber(parts[1]),
        let ordinal = fixed(parts[3], ObjectPath.sequenceDigits), ordinal > 0,
        let span = LogSpan(parts[4])
      else { return nil }
      self = .log(timeline, ordinal: Int(ordinal), span)
    case ("ops", 3):
      guard let kind = OperationKind(rawValue: String(parts[1])), isIdentifier(parts[2]) else {
        return nil
      }
      self = .operation(kind, id: String(parts[2]))
    default: return nil
    }
  }

  package var text: String {
    switch self {
    case .descriptor: "lifeboat.json"
    case .key(let id): "keys/" + id
    case .piece(let id, let number, let digest):
      ObjectPath.generation(id) + decimal(number, width: ObjectPath.pieceDigits) + "-"
        + digest.hexadecimal
    case .index(let id): ObjectPath.generation(id) + "index"
    case .claim(let timeline): ObjectPath.timeline(timeline) + "claim"
    case .snapshot(let timeline, let sequence):
      ObjectPath.timeline(timeline) + "snapshots/"
        + decimal(sequence, width: ObjectPath.sequenceDigits)
    case .log(let timeline, let ordinal, let span):
      ObjectPath.log(timeline, ordinal: ordinal) + span.description
    case .operation(let kind, let id): "ops/" + kind.rawValue + "/" + id
    }
  }

  /// Prefixes for listing.
  package static func generation(_ id: GenerationID) -> String { "generations/\(id)/" }
  package static func timeline(_ number: TimelineNumber) -> String {
    "timelines/" + decimal(number.value, width: TimelineNumber.digits) + "/"
  }
  package static func operations(_ kind: OperationKind) -> String { "ops/\(kind.rawValue)/" }
  package static func log(_ number: TimelineNumber, ordinal: Int) -> String {
    timeline(number) + "log/" + decimal(ordinal, width: sequenceDigits) + "/"
  }
}

private func timelineNumber(_ text: Substring) -> TimelineNumber? {
  fixed(text, TimelineNumber.digits).flatMap { TimelineNumber(Int($0)) }
}

/// A decimal number of exactly `width` digits, so that each value has only one spelling.
private func fixed(_ text: some StringProtocol, _ width: Int) -> UInt64? {
  guard text.utf8.count == width, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
  return UInt64(text)
}

/// The ids of operations and key slots: 1 to 65 characters of `a-z 0-9 -`, so a generation's id is one,
/// too.
private func isIdentifier(_ text: Substring) -> Bool {
  (1...65).contains(text.utf8.count)
    && text.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 122) || $0 == 45 }
}
