/// The list of files of an append-only file, as in `appendonly.aof.manifest` (Redis's `aof.c`,
/// `loadAppendOnlyManifest`).
package struct AOFManifest: Sendable, Equatable {
  package struct Entry: Sendable, Equatable {
    package enum Kind: Sendable { case base, history, increment }
    /// A bare name, valid UTF-8.
    package var file: String
    /// Never 0.
    package var sequence: Int64
    package var kind: Kind
    /// Whether the line has `endoffset`: Redis 8 closed this file when it stopped or its AOF was switched
    /// off, and wrote the manifest only for that.
    package var isClosed = false

    package init(file: String, sequence: Int64, kind: Kind, isClosed: Bool = false) {
      self.file = file
      self.sequence = sequence
      self.kind = kind
      self.isClosed = isClosed
    }
  }

  /// In the order of the manifest.
  package var entries: [Entry]

  package init(entries: [Entry]) {
    self.entries = entries
  }

  package var base: Entry? { entries.first { $0.kind == .base } }
  /// In the order in which they are loaded.
  package var increments: [Entry] { entries.filter { $0.kind == .increment } }

  /// The first file that is named twice as a part of the set, if there is one. Servers load it twice.
  package var nameTwice: String? {
    var seen: Set<String> = []
    return entries.first { $0.kind != .history && !seen.insert($0.file).inserted }?.file
  }

  /// Whether this is the manifest of an upgrade from Redis 6 that was interrupted before the single AOF
  /// `file` was moved into the AOF directory, provided that the file is not there. A server moves it at its
  /// next start.
  package func awaits(_ file: String) -> Bool {
    entries.count == 1 && entries[0].kind == .base && entries[0].file == file
  }

  /// The manifest in a form that every version since 7.0 loads: only file, seq and type, and no history.
  /// Names are quoted if necessary.
  package func encoded() -> [UInt8] {
    var text: [UInt8] = []
    for entry in entries where entry.kind != .history {
      text += Array("file ".utf8) + quotedIfNeeded(entry.file)
      text += Array(" seq \(entry.sequence) type \(entry.kind == .base ? "b" : "i")\n".utf8)
    }
    return text
  }
}

/// Why Redis or Lifeboat does not load this manifest.
package struct AOFManifestFault: Error, Sendable, Equatable {
  /// The number of the line, from 1.
  package var line: Int
  /// A phrase for an operator, without a full stop.
  package var reason: String
  /// Whether the file is empty, for example between its creation and its first write by a broken tool.
  package var isEmpty: Bool

  package init(line: Int, reason: String, isEmpty: Bool = false) {
    self.line = line
    self.reason = reason
    self.isEmpty = isEmpty
  }
}

private func quotedIfNeeded(_ name: String) -> [UInt8] {
  let plain = name.utf8.allSatisfy {
    $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'")
      && $0 != UInt8(ascii: "\\")
  }
  guard !plain || name.isEmpty else { return Array(name.utf8) }
  var text = [UInt8(ascii: "\"")]
  for byte in name.utf8 {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
    case 0x20..<0x7f: text.append(byte)
    default:
      let digits = Array("0123456789abcdef".utf8)
      text += Array("\\x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }
  return text + [UInt8(ascii: "\"")]
}
