package import BackupTypes

/// Identifies one dump or BASE in a repository: `<fingerprint>-<nonce of the claim that wrote it>`.
///
/// The fingerprint identifies a file that is already stored. The nonce ensures that no other writer reuses a
/// generation that is not proved complete.
package struct GenerationID: Hashable, Sendable {
  package var fingerprint: ShortDigest
  package var nonce: Nonce

  package init(fingerprint: ShortDigest, nonce: Nonce) {
    self.fingerprint = fingerprint
    self.nonce = nonce
  }

  package init?(_ text: some StringProtocol) { self.init(ArraySlice(text.utf8)) }

  fileprivate init?(_ text: NamePart) {
    let parts = text.parts(at: hyphen)
    guard parts.count == 2, let fingerprint = ShortDigest(hexadecimal: parts[0]),
      let nonce = Nonce(hexadecimal: parts[1].string)
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

/// The part of a log object's name that says which bytes it contains.
package struct LogSpan: Hashable, Sendable {
  package static let offsetDigits = 16
  package static let timeDigits = 13
  /// Offsets into Redis's file, `from` inclusive, `to` exclusive; `from < to`.
  package var from: UInt64
  package var to: UInt64
  /// The mark at `to`: the time when the file had reached that offset. Nil (written as zeros) if the object
  /// ends inside a command that is larger than an object, or inside the initial content of a legacy AOF. Such
  /// an end is not a restore point.
  package var mark: Instant?
  /// The digest of the bytes without the marks, so that a file on disk can be compared with the listing.
  package var digest: ShortDigest

  package init(from: UInt64, to: UInt64, mark: Instant?, digest: ShortDigest) {
    self.from = from
    self.to = to
    self.mark = mark
    self.digest = digest
  }

  fileprivate init?(_ text: NamePart) {
    let parts = text.parts(at: hyphen)
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
    let parts = ArraySlice(text.utf8).parts(at: slash)
    switch (parts[0].string, parts.count) {
    case ("lifeboat.json", 1): self = .descriptor
    case ("keys", 2) where isIdentifier(parts[1]): self = .key(parts[1].string)
    case ("generations", 3):
      guard let id = GenerationID(parts[1]) else { return nil }
      if parts[2].string == "index" {
        self = .index(id)
        return
      }
      let piece = parts[2].parts(at: hyphen)
      guard piece.count == 2, let number = fixed(piece[0], ObjectPath.pieceDigits),
        let digest = ShortDigest(hexadecimal: piece[1])
      else { return nil }
      self = .piece(id, number: Int(number), digest)
    case ("timelines", 3...5):
      guard let timeline = timelineNumber(parts[1]),
        let path = ObjectPath(timeline, parts[2].string, parts[3...])
      else { return nil }
      self = path
    case ("ops", 3):
      guard let kind = OperationKind(rawValue: parts[1].string), isIdentifier(parts[2]) else {
        return nil
      }
      self = .operation(kind, id: parts[2].string)
    default: return nil
    }
  }

  /// A name below a timeline's folder.
  private init?(_ timeline: TimelineNumber, _ folder: String, _ parts: ArraySlice<NamePart>) {
    switch (folder, parts.count) {
    case ("claim", 0): self = .claim(timeline)
    case ("snapshots", 1):
      guard let sequence = fixed(parts[parts.startIndex], ObjectPath.sequenceDigits), sequence > 0
      else { return nil }
      self = .snapshot(timeline, sequence: Int(sequence))
    case ("log", 2):
      guard let ordinal = fixed(parts[parts.startIndex], ObjectPath.sequenceDigits), ordinal > 0,
        let span = LogSpan(parts[parts.startIndex + 1])
      else { return nil }
      self = .log(timeline, ordinal: Int(ordinal), span)
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

// Names are taken apart as bytes: a listing can have millions.
private typealias NamePart = ArraySlice<UInt8>
private let slash = UInt8(ascii: "/")
private let hyphen = UInt8(ascii: "-")

extension ArraySlice<UInt8> {
  /// The parts between the separators, including empty ones. There is always at least one.
  fileprivate func parts(at separator: UInt8) -> [NamePart] {
    split(separator: separator, omittingEmptySubsequences: false)
  }
  fileprivate var string: String { String(decoding: self, as: UTF8.self) }
}

private func timelineNumber(_ text: NamePart) -> TimelineNumber? {
  fixed(text, TimelineNumber.digits).flatMap { TimelineNumber(Int($0)) }
}

/// A decimal number of exactly `width` digits, so that each value has only one spelling.
private func fixed(_ text: NamePart, _ width: Int) -> UInt64? {
  guard text.count == width else { return nil }
  var number: UInt64 = 0
  for digit in text {
    guard digit >= 48, digit <= 57 else { return nil }
    number = number * 10 + UInt64(digit - 48)
  }
  return number
}

/// The ids of operations and key slots: 1 to 65 characters of `a-z 0-9 -`, so a generation's id is one,
/// too.
private func isIdentifier(_ text: NamePart) -> Bool {
  (1...65).contains(text.count)
    && text.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 122) || $0 == 45 }
}
