package import BackupTypes

/// The credentials that sign requests to AWS.
package struct AWSCredentials: VendorCredentials {
  /// Not a secret: it is in every signed request, and tells an operator which key to fix.
  package var accessKeyID: String
  package var secretAccessKey: Redacted
  package var sessionToken: Redacted?
  /// nil: until someone revokes them.
  package var expiration: Instant?

  package init(
    accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil,
    expiration: Instant? = nil
  ) {
    self.accessKeyID = accessKeyID
    self.secretAccessKey = Redacted(secretAccessKey)
    self.sessionToken = sessionToken.flatMap { $0.isEmpty ? nil : Redacted($0) }
    self.expiration = expiration
  }
}

extension AWSCredentials: CustomDebugStringConvertible {
  package static let vendor = "AWS"
  package static let missingHint =
    "give the pod or the instance a role, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or add"
    + " ?anonymous=true for a public bucket"

  package var description: String {
    "the access key \(printable(accessKeyID))" + (sessionToken == nil ? "" : ", temporary")
      + (expiration.map { ", until \($0)" } ?? "")
  }
  package var debugDescription: String { description }
}
