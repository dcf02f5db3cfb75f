import BackupTypes
import CloudAuth
import HTTPTransport

/// A refusal, parsed from a reply. It is classified by its code, and rarely by its status.
struct AzureFault: Sendable {
  var status: Int
  /// For example `BlobNotFound`. Empty if the reply is not an Azure error.
  var code: String
  var message: String
  /// What the service says about a signature or a date that it refuses.
  var detail: String
  var requestID: String?

  /// - Parameter isAnswer: whether the status would have counted as an answer if the service had sent it.
  init(_ reply: HTTPResponse, isAnswer: Bool = false) {
    status = reply.status
    let root = try? XMLElement(parsing: reply.body)
    let error = root?.name == "Error" ? root : nil
    // Replies to HEAD have the code only in the header.
    code = reply.headers["x-ms-error-code"] ?? error?["Code"]?.text ?? ""
    message = AzureFault.line(
      error?["Message"]?.text ?? (isAnswer ? "it is not a reply of Azure Blob Storage" : ""))
    detail = AzureFault.line(error?["AuthenticationErrorDetail"]?.text ?? "")
    requestID = reply.headers["x-ms-request-id"].map { String($0.prefix(40)) }
    self.isAnswer = isAnswer
  }

  let isAnswer: Bool

  /// The service is busy, bytes were damaged, or something else sent the reply.
  var isRetryable: Bool {
    if isAnswer || isDamage { return true }
    return [408, 429].contains(status) || (status >= 500 && status != 501 && status != 505)
  }

  /// The content did not match the checksum that was sent with it.
  var isDamage: Bool { ["Md5Mismatch", "Crc64Mismatch"].contains(code) }

  /// The credentials were refused. This is not a missing permission.
  var isAuthentication: Bool {
    (code == "AuthenticationFailed" && !isClock) || code == "InvalidAuthenticationInfo"
      || (status == 401 && !isAnswer)
  }

  var isClock: Bool {
    code == "AuthenticationFailed"
      && (detail + message).firstRange(of: "Request date header too old") != nil
  }

  /// `AuthorizationFailure: This request is not authorized … (status 403, request 4a1…)`.
  var words: String {
    let text = [code, message, detail].filter { !$0.isEmpty }.map { printable($0, limit: 300) }
    let origin = "status \(status)" + (requestID.map { ", request " + printable($0) } ?? "")
    return text.isEmpty ? origin : text.joined(separator: ": ") + " (\(origin))"
  }

  /// The first line of a text. Request ids and times come after it. Addresses that the service quotes can
  /// contain a signature.
  private static func line(_ text: String) -> String {
    let first = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    // After this, the service quotes the whole string to sign.
    let end = first.firstRange(of: " Server used following string to sign")?.lowerBound
    return withoutSignatures(String(first[..<(end ?? first.endIndex)]))
  }
}
