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

  package init?(_ text: some StringProtocol) {
    var text = String(text)
    guard let id = text.withUTF8({ GenerationID(NamePart($0)) }) else { return nil }
    self = id
  }

  fileprivate init?(_ text: NamePart) {
    var parts = NameParts(text, at: hyphen)
    guard let fingerprint = parts.next().flatMap({ ShortDigest(hexadecimal: $0) }),
      let nonce = parts.next().flatMap({ Nonce(hexadecimal: $0.string) }), parts.isAtEnd
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

/// The part of a log object's name that says which bytes it contains. A catalogue has one for each of them.
package struct LogSpan: Hashable, Sendable {
  package static let offsetDigits = 16
  package static let timeDigits = 13
  /// Offsets into Redis's file, `from` inclusive, `to` exclusive; `from < to`.
  package var from: UInt64
  package var to: UInt64
  /// The mark at `to`: the time when the file had reached that offset. Nil (written as zeros) if the object
  /// ends inside a command that is larger than an object, or inside the initial content of a legacy AOF. Such
  /// an end is not a restore point.
  package var mark: Instant? { time == 0 ? nil : Instant(milliseconds: time) }
  /// The time of the mark in milliseconds, as in the name.
  private let time: Int64
  /// The digest of the bytes without the marks, so that a file on disk can be compared with the listing.
  package var digest: ShortDigest

  package init(from: UInt64, to: UInt64, mark: Instant?, digest: ShortDigest) {
    self.from = from
    self.to = to
    time = mark?.milliseconds ?? 0
    self.digest = digest
  }

  fileprivate init?(_ text: NamePart) {
    var parts = NameParts(text, at: hyphen)
    guard let from = parts.next().flatMap({ fixed($0, LogSpan.offsetDigits) }),
      let to = parts.next().flatMap({ fixed($0, LogSpan.offsetDigits) }), from < to,
      let time = parts.next().flatMap({ fixed($0, LogSpan.timeDigits) }),
      let digest = parts.next().flatMap({ ShortDigest(hexadecimal: $0) }), parts.isAtEnd
    else { return nil }
    self.init(from: from, to: to, mark: Instant(milliseconds: Int64(time)), digest: digest)
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
    var text = text
    guard let path = text.withUTF8({ ObjectPath(NamePart($0)) }) else { return nil }
    self = path
  }

  private init?(_ text: NamePart) {
    var parts = NameParts(text, at: slash)
    guard let folder = parts.next(), let path = ObjectPath(folder.string, &parts), parts.isAtEnd
    else { return nil }
    self = path
  }

  /// A name below a folder at the top.
  private init?(_ folder: String, _ parts: inout NameParts) {
    switch folder {
    case "lifeboat.json": self = .descriptor
    case "keys":
      guard let id = parts.next(), isIdentifier(id) else { return nil }
      self = .key(id.string)
    case "generations":
      guard let id = parts.next().flatMap({ GenerationID($0) }), let name = parts.next() else {
        return nil
      }
      if name.string == "index" {
        self = .index(id)
        return
      }
      var piece = NameParts(name, at: hyphen)
      guard let number = piece.next().flatMap({ fixed($0, ObjectPath.pieceDigits) }),
        let digest = piece.next().flatMap({ ShortDigest(hexadecimal: $0) }), piece.isAtEnd
      else { return nil }
      self = .piece(id, number: Int(number), digest)
    case "timelines":
      guard let timeline = parts.next().flatMap({ timelineNumber($0) }), let folder = parts.next(),
        let path = ObjectPath(timeline, folder.string, &parts)
      else { return nil }
      self = path
    case "ops":
      guard let kind = parts.next().flatMap({ OperationKind(rawValue: $0.string) }),
        let id = parts.next(), isIdentifier(id)
      else { return nil }
      self = .operation(kind, id: id.string)
    default: return nil
    }
  }

  /// A name below a timeline's folder.
  private init?(_ timeline: TimelineNumber, _ folder: String, _ parts: inout NameParts) {
    switch folder {
    case "claim": self = .claim(timeline)
    case "snapshots":
      guard let sequence = parts.next().flatMap({ sequenceNumber($0) }) else { return nil }
      self = .snapshot(timeline, sequence: sequence)
    case "log":
      guard let ordinal = parts.next().flatMap({ sequenceNumber($0) }),
        let span = parts.next().flatMap({ LogSpan($0) })
      else { return nil }
      self = .log(timeline, ordinal: ordinal, span)
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

// Names are taken apart in place: a listing can have millions. This type is not generic, so it is quick in a
// debug build, too.
private typealias NamePart = UnsafeRawBufferPointer
private let slash = UInt8(ascii: "/")
private let hyphen = UInt8(ascii: "-")

/// The parts of a name between separators, including empty ones. There is always at least one.
private struct NameParts {
  private var rest: NamePart?
  private let separator: UInt8

  init(_ text: NamePart, at separator: UInt8) {
    rest = text
    self.separator = separator
  }

  var isAtEnd: Bool { rest == nil }

  mutating func next() -> NamePart? {
    guard let all = rest else { return nil }
    var end = 0
    while end < all.count, all[end] != separator { end += 1 }
    rest = end < all.count ? all.part(from: end + 1, to: all.count) : nil
    return all.part(from: 0, to: end)
  }
}

extension UnsafeRawBufferPointer {
  fileprivate var string: String { String(decoding: self, as: UTF8.self) }

  fileprivate func part(from start: Int, to end: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: baseAddress.map { $0 + start }, count: end - start)
  }
}

/// The number of a snapshot or of a log.
private func sequenceNumber(_ text: NamePart) -> Int? {
  fixed(text, ObjectPath.sequenceDigits).flatMap { $0 > 0 ? Int($0) : nil }
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
