import BackupTypes
import CloudAuth

/// The body of a DeleteObjects request and what its reply says: pure.
enum S3Deletion {
  /// The most keys in one request.
  static let keysMax = 1000

  /// nil when XML 1.0 can't represent a key: it has no form for most control characters.
  static func body(_ keys: [String]) -> [UInt8]? {
    var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
    text += "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
    for key in keys {
      guard let escaped = escaped(key) else { return nil }
      text += "<Object><Key>\(escaped)</Key></Object>"
    }
    return Array((text + "</Delete>").utf8)
  }

  /// The keys that are still there, with the code and message of each.
  ///
  /// - Throws: when the reply is not a complete answer.
  static func failures(_ body: [UInt8]) throws(LifeboatError) -> [(key: String, fault: S3Fault)] {
    let root = try XMLElement(parsing: body)
    guard root.name == "DeleteResult" || root.name == "DeleteObjectsOutput" else {
      throw LifeboatError(
        .storeUnavailable, "the store's reply to a deletion is invalid",
        cause: "it is a \(printable(root.name))", isRetryable: true)
    }
    return root.all("Error").map { item in
      let code = item["Code"]?.text ?? ""
      let fault = S3Fault(status: 200, code: code, message: item["Message"]?.text ?? "")
      return (item["Key"]?.text ?? "", fault)
    }
  }

  private static func escaped(_ key: String) -> String? {
    var result = ""
    for scalar in key.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += "&#\(scalar.value);"
      default:
        guard scalar.value >= 0x20, scalar.value != 0xfffe, scalar.value != 0xffff else {
          return nil
        }
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

extension S3Fault {
  /// One of several in a reply that was itself a success.
  init(status: Int, code: String, message: String) {
    self.status = status
    self.code = code
    self.message = message
  }
}
