import CloudAuth
import FoundationEssentials

/// The checksum of an object's content, which the service compares with what it received, and returns. Pure.
///
/// It is the MD5, which the service also stores and returns with every download. If the system forbids MD5
/// (FIPS), it is Azure's CRC-64. The service allows only one of them in a request.
struct AzureChecksum: Sendable, Equatable {
  /// The name of the header, in the request and in the reply.
  let header: String
  let value: String

  /// - Parameter md5: the base64 of the MD5; empty if the system forbids MD5.
  init(_ bytes: [UInt8], md5: ([UInt8]) -> String) {
    let sum = md5(bytes)
    if sum.isEmpty {
      header = "x-ms-content-crc64"
      value = withUnsafeBytes(of: AzureChecksum.crc64(bytes).littleEndian) {
        Data($0).base64EncodedString()
      }
    } else {
      header = "Content-MD5"
      value = sum
    }
  }

  /// CRC-64/NVME: polynomial ad93d23594c93659, reflected in and out, initial value and final xor all ones.
  /// The value of `123456789` is ae8b14860a799888.
  static func crc64(_ bytes: [UInt8]) -> UInt64 {
    table.withUnsafeBufferPointer { table in
      var crc = UInt64.max
      for byte in bytes { crc = table[Int((crc ^ UInt64(byte)) & 0xff)] ^ (crc >> 8) }
      return ~crc
    }
  }

  private static let table: [UInt64] = (0..<256).map { byte in
    (0..<8).reduce(UInt64(byte)) { crc, _ in
      crc & 1 == 1 ? (crc >> 1) ^ 0x9a6c_9329_ac4b_c9b5 : crc >> 1
    }
  }
}
