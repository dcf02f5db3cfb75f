import BackupTypes
import CloudAuth
import HTTPTransport

/// A refusal, read out of a reply. It is judged by its code, hardly ever by its status.
struct AzureFault: Sendable {
  var status: Int
  /// `BlobNotFound`; empty when the reply is no error of Azure's.
  var code: String
  var message: String
  /// What the service says of a signature or a date that it refuses.
  var detail: String
  var requestID: String?

  /// - Parameter isAnswer: whether the status would have been an answer, had the service given it.
  init(_ reply: HTTPResponse, isAnswer: Bool = false) {
    status = reply.status
    let root = try? XMLElement(parsing: reply.body)
    let error = root?.name == "Error" ? root : nil
    // Replies to HEAD have it in the header only.
    code = reply.headers["x-ms-error-code"] ?? error?["Code"]?.text ?? ""
    message = AzureFault.line(
      error?["Message"]?.text ?? (isAnswer ? "it is no reply of Azure Blob Storage" : ""))
    detail = AzureFault.line(error?["AuthenticationErrorDetail"]?.text ?? "")
    requestID = reply.headers["x-ms-request-id"].map { String($0.prefix(40)) }
    self.isAnswer = isAnswer
  }

  let isAnswer: Bool

  /// The service is busy, bytes were damaged, or something else answered.
  var isRetryable: Bool {
    if isAnswer || isDamage { return true }
    return [408, 429].contains(status) || (status >= 500 && status != 501 && status != 505)
  }

  /// What was sent did not have the checksum that was sent with it.
  var isDamage: Bool { ["Md5Mismatch", "Crc64Mismatch"].contains(code) }

  /// The proof was refused, not the right to do something.
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

  /// The first line of a text: request ids and times follow. What the service quotes of an address can hold
  /// a signature.
  private static func line(_ text: String) -> String {
    let first = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    // It goes on to quote all that was signed.
    let end = first.firstRange(of: " Server used following string to sign")?.lowerBound
    return withoutSignatures(String(first[..<(end ?? first.endIndex)]))
  }
}
