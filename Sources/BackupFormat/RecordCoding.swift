import BackupTypes
import FoundationEssentials
import Synchronization

/// Records are JSON with sorted keys inside the frame. They are few and small, and any tool can read them.
package enum RecordCoding {
  /// The largest record a reader accepts: an index of a 1 TiB generation has 262,144 digests of 68
  /// bytes each.
  package static let sizeMax = 24 << 20
  /// The largest claim, with the ends of about 100,000 logs. Readers keep all claims in memory.
  package static let claimSizeMax = 4 << 20
  /// The maximum size of an operation that is not a prune record, in bytes.
  package static let operationSizeMax = 64 << 10
  /// The largest snapshot, with about 65,000 spans of log. Readers keep many snapshots in memory.
  package static let snapshotSizeMax = 6 << 20
  /// The largest descriptor. A real one has only a few fields.
  package static let descriptorSizeMax = 64 << 10
  /// Decoding takes many times the size of a record. Larger ones than this are decoded one at a time.
  private static let bulk = 256 << 10
  private static let oneAtATime = Mutex(())

  package static func encode(_ record: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(try encoder.encode(record))
  }

  /// Safe for any input. Data that does not match is `.corrupt`, with the object's name. An unknown word that
  /// decides something is `.versionMismatch`.
  package static func decode<Record: Decodable>(
    _ type: Record.Type, from bytes: [UInt8], name: String
  ) throws -> Record {
    do {
      let data = Data(bytes)
      guard bytes.count > bulk else { return try JSONDecoder().decode(type, from: data) }
      var decoded: Result<Record, any Error>?
      oneAtATime.withLock { _ in
        decoded = Result { try JSONDecoder().decode(type, from: data) }
      }
      return try decoded!.get()
    } catch let error as UnknownWord {
      throw LifeboatError(
        .versionMismatch,
        "the record \(printable(name)) was written by a newer release of Lifeboat",
        cause: "its field \(error.field) is \(printable(error.word))",
        hint: "use a newer release of Lifeboat")
    } catch {
      throw LifeboatError(
        .corrupt, "the record \(printable(name)) can't be read", cause: "\(describe(error))")
    }
  }

  /// Checks the descriptor's version before anything else in it is used.
  package static func decodeDescriptor(_ bytes: [UInt8], location: String) throws -> Descriptor {
    struct Version: Decodable {
      var version: Int
      enum CodingKeys: String, CodingKey { case version = "_lifeboat" }
    }
    guard let version = try? JSONDecoder().decode(Version.self, from: Data(bytes)).version else {
      throw LifeboatError(
        .corrupt, "lifeboat.json at \(location) does not describe a Lifeboat repository",
        hint: "check the prefix: each Redis needs its own repository")
    }
    guard version == Descriptor.formatVersion else {
      throw LifeboatError(
        .versionMismatch, "the repository at \(location) has format \(version)",
        cause: "this Lifeboat reads format \(Descriptor.formatVersion)",
        hint: "use a release of Lifeboat that reads format \(version)")
    }
    return try decode(Descriptor.self, from: bytes, name: "lifeboat.json")
  }

  private static func describe(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "it is not JSON" }
    switch error {
    case .keyNotFound(let key, _): return "the field \(key.stringValue) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      let path = context.codingPath.map(\.stringValue).joined(separator: ".")
      return "the field \(path.isEmpty ? "(whole)" : path) does not conform to format 1"
    @unknown default: return "it does not conform to format 1"
    }
  }
}
