/// What the first bytes of a file that is not a log of commands show about its writer.
///
/// The rule for all files of Redis is: *unknown is data*. Data that a program wrote in a form that this
/// release can't read is kept, restored unchanged, and never blocks a start. A file is broken only if no
/// server can have written it. To count as unknown, a file therefore needs a sign that a program wrote it:
/// a known magic with another version, a known envelope with another codec, or another magic of letters and
/// digits. Example: `NEWKV0001…` is unknown; NULs, `REDI` and an empty file are broken.
enum RDBOpening: Equatable {
  /// There are too few bytes to decide.
  case undecided
  /// An RDB of a version whose layout is known.
  case rdb(isValkey: Bool, version: Int)
  /// An RDB inside one compressed frame.
  case envelope(RDBFrame.Codec)
  case unknown(isValkey: Bool, version: Int, reason: String)
  /// Not an RDB, or no known beginning of one.
  case foreign(reason: String)
  case broken(String)

  /// Magic and version.
  static let headerBytes = 9
  /// `VCS`, version, codec, a reserved byte, kind.
  static let envelopeBytes = 7
  /// This many letters and digits make an unknown magic.
  private static let magicMin = 3

  /// - Parameters:
  ///   - bytes: the first bytes of the file, as many as are available.
  ///   - takesAnyMagic: whether the file may begin with an unknown magic.
  static func judge(_ bytes: UnsafeRawBufferPointer, takesAnyMagic: Bool) -> RDBOpening {
    if begins(bytes, with: "VCS") {
      return bytes.count < envelopeBytes ? .undecided : envelope(bytes)
    }
    let isRedis = begins(bytes, with: "REDIS")
    let isKnown = isRedis || begins(bytes, with: "VALKEY")
    let head = bytes.prefix(headerBytes)
    let text = head.prefix { isLetterOrDigit($0) }
    // `REDI` followed by something else is a truncated known magic, not another magic.
    let isCut =
      !isKnown && text.count < head.count
      && ["REDIS", "VALKEY"].contains { $0.utf8.starts(with: text) }
    let isOther = takesAnyMagic && text.count >= min(magicMin, head.count) && !isCut
    guard isKnown || isOther else {
      return .broken(
        bytes.first == 0
          ? "it begins with zero bytes"
          : "not an RDB: it begins with neither REDIS, VALKEY nor another magic")
    }
    guard isKnown else {
      guard bytes.count >= headerBytes else { return .undecided }
      return .foreign(reason: "its magic is unknown; its structure is not verified")
    }
    return header(head, isRedis: isRedis, textCount: text.count)
  }

  private static func header(
    _ head: Slice<UnsafeRawBufferPointer>, isRedis: Bool, textCount: Int
  ) -> RDBOpening {
    let name = isRedis ? "REDIS" : "VALKEY"
    guard textCount == head.count else {
      return .broken("not an RDB: the version after \(name) is not a number")
    }
    guard head.count == headerBytes else { return .undecided }
    var version = 0
    for byte in head.dropFirst(name.utf8.count) {
      guard byte >= 48, byte <= 57 else {
        return .foreign(
          reason: "the version after \(name) is not a number; its structure is not verified")
      }
      version = version * 10 + Int(byte - 48)
    }
    guard version > 0 else { return .broken("not an RDB: version 0") }
    let known = isRedis ? 1...15 : 80...81
    guard known.contains(version) else {
      return .unknown(
        isValkey: !isRedis, version: version,
        reason: "\(name) RDB version \(version) is unknown; its structure is not verified")
    }
    return .rdb(isValkey: !isRedis, version: version)
  }

  /// Valkey 9.2's frame around a whole RDB (`new-formats`: 7 bytes, then one LZ4 or zstd frame).
  private static func envelope(_ bytes: UnsafeRawBufferPointer) -> RDBOpening {
    guard bytes[3] == 1, bytes[5] == 0, bytes[6] == 1,
      let codec = RDBFrame.Codec(rawValue: bytes[4])
    else {
      return .foreign(
        reason: "its VCS envelope is of an unknown kind; its structure is not verified")
    }
    return .envelope(codec)
  }

  /// Whether `bytes`, possibly fewer than `text`, match its beginning.
  private static func begins(_ bytes: UnsafeRawBufferPointer, with text: StaticString) -> Bool {
    let count = min(bytes.count, text.utf8CodeUnitCount)
    for index in 0..<count where bytes[index] != text.utf8Start[index] { return false }
    return true
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
  }
}

extension RDBSummary {
  /// Whether the writer reads all of a packed value when it loads one, as Valkey 9.1.2 and newer do. For its
  /// development versions, which report 255.255.255, this is not known.
  var isReadWhole: Bool {
    guard isValkey, let version = serverVersion?.split(separator: ".").map({ Int($0) ?? 0 }) else {
      return false
    }
    return version.first != 255 && !version.lexicographicallyPrecedes([9, 1, 2])
  }
}
