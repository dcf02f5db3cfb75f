import BackupTypes
import CloudAuth
import HTTPTransport

/// A refusal, parsed from a reply.
struct GCSFault: Sendable {
  var status: Int
  /// For example `notFound`. Empty if the reply is not a Google error.
  var reason: String
  var message: String
  var requestID: String?

  init(_ reply: HTTPResponse) {
    status = reply.status
    let error = GoogleAPIError(reply.body)
    reason = error?.reason ?? ""
    message = error?.message ?? GCSFault.text(reply)
    requestID = reply.headers["x-guploader-uploadid"].map { String($0.prefix(24)) }
  }

  /// Bytes were damaged, or the server is busy.
  var isRetryable: Bool {
    switch reason {
    case "rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError": true
    default: isDamage || [408, 429, 500, 502, 503, 504].contains(status)
    }
  }

  /// A creation was refused because the object exists and these credentials may not delete it: replacing an
  /// object needs the permission storage.objects.delete.
  var mayNotReplace: Bool { status == 403 && message.contains("storage.objects.delete") }

  /// The content did not match the checksum that was sent with it.
  var isDamage: Bool {
    status == 400 && message.lowercased().contains("match calculated")
  }

  /// `forbidden: … does not have storage.objects.get access (status 403, request ABPtc…)`.
  var words: String {
    let text = [reason, message].filter { !$0.isEmpty }.map { printable($0, limit: 300) }
    let origin = "status \(status)" + (requestID.map { ", request " + printable($0) } ?? "")
    return text.isEmpty ? origin : text.joined(separator: ": ") + " (\(origin))"
  }

  /// A refused download is not answered with JSON, but with one line of text.
  private static func text(_ reply: HTTPResponse) -> String {
    let line =
      String(decoding: reply.body.prefix(300), as: UTF8.self)
      .split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    return line.contains("<") ? "" : line
  }
}
