import Codec
import FoundationEssentials

/// A single-request upload with its metadata before its content (`uploadType=multipart`): pure.
///
/// The store creates the object only if what arrived matches the checksum in the metadata.
struct GCSUpload {
  static let contentType = "application/octet-stream"
  static let fields = "generation,size,crc32c"

  let body: [UInt8]
  let crc32c: String
  private let boundary: String

  /// Of the request.
  var headers: [(String, String)] { [("Content-Type", "multipart/related; boundary=\(boundary)")] }

  /// - Parameters:
  ///   - key: full.
  ///   - boundary: a text that is not in the content, of letters and digits.
  init(key: String, content: [UInt8], boundary: String) throws {
    struct Metadata: Encodable {
      var name: String
      var contentType: String
      var crc32c: String
    }
    crc32c = googleChecksum(content)
    self.boundary = boundary
    let metadata = try JSONEncoder().encode(
      Metadata(name: key, contentType: GCSUpload.contentType, crc32c: crc32c))
    let head =
      Array("--\(boundary)\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".utf8)
      + metadata
      + Array("\r\n--\(boundary)\r\nContent-Type: \(GCSUpload.contentType)\r\n\r\n".utf8)
    let tail = Array("\r\n--\(boundary)--\r\n".utf8)
    var body: [UInt8] = []
    body.reserveCapacity(head.count + content.count + tail.count)
    body += head
    body += content
    body += tail
    self.body = body
  }

  /// What the store says that it stored.
  struct Stored: Decodable {
    /// 64-bit numbers are texts in Google's JSON.
    var generation: String
    var size: String
    /// Every object has one; nil if an emulator leaves it out.
    var crc32c: String?

    /// nil if `body` is not such an answer.
    init?(_ body: [UInt8]) {
      guard let stored = try? JSONDecoder().decode(Stored.self, from: Data(body)) else {
        return nil
      }
      self = stored
    }
  }

  func matches(_ stored: Stored, count: Int) -> Bool {
    stored.size == "\(count)" && (stored.crc32c ?? crc32c) == crc32c
  }
}

/// The CRC-32C of `bytes` as Google writes it: big-endian, in base64.
func googleChecksum(_ bytes: [UInt8]) -> String {
  let sum = CRC32C.checksum(bytes)
  return Data((0..<4).map { UInt8(truncatingIfNeeded: sum >> (24 - 8 * $0)) }).base64EncodedString()
}
