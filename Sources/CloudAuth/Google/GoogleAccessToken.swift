package import BackupTypes

/// The OAuth 2 bearer token that authenticates requests to Google Cloud.
package struct GoogleAccessToken: VendorCredentials {
  package var token: Redacted
  /// Its owner, for messages: `backup@project.iam.gserviceaccount.com`.
  package var identity: String
  /// Sent as `x-goog-user-project`: the project that is billed for the requests.
  package var quotaProject: String?
  package var expiration: Instant?

  package init(
    token: String, identity: String, quotaProject: String? = nil, expiration: Instant? = nil
  ) {
    self.token = Redacted(token)
    self.identity = identity
    self.quotaProject = quotaProject
    self.expiration = expiration
  }
}

extension GoogleAccessToken: CustomDebugStringConvertible {
  package static let vendor = "Google"
  package static let missingHint =
    "give the pod's Kubernetes service account or the machine a Google service account, point"
    + " GOOGLE_APPLICATION_CREDENTIALS to a key or federation file, or add ?anonymous=true for a"
    + " public bucket"

  package var description: String {
    "a token of \(printable(identity))" + (expiration.map { ", until \($0)" } ?? "")
  }
  package var debugDescription: String { description }
}

/// What a token allows. See "Cloud Storage OAuth 2.0 scopes".
enum GoogleScope {
  /// Objects and their listings, but not a bucket's policy.
  static let storage = "https://www.googleapis.com/auth/devstorage.read_write"
  /// Required by the IAM Credentials API for the token that it exchanges.
  static let platform = "https://www.googleapis.com/auth/cloud-platform"
}
