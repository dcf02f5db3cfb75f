import BackupTypes
import CloudAuth
import HTTPTransport

extension StoreAction {
  /// The AWS IAM permissions it needs.
  fileprivate var rights: String {
    switch self {
    case .create: "s3:PutObject (and kms:GenerateDataKey where a KMS key encrypts)"
    case .read: "s3:GetObject (and kms:Decrypt where a KMS key encrypts)"
    case .list: "s3:ListBucket"
    case .delete: "s3:DeleteObject"
    }
  }
}

extension S3Fault {
  /// - Parameters:
  ///   - object: the object of the action, printable: `s3://bucket/prefix/name`.
  ///   - credentials: for messages, without secrets; nil if requests are not signed.
  func error(_ action: StoreAction, _ object: String, accessKeyID: String?) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "can't \(action.rawValue) \(object)", cause: words,
      hint: hint(action, key: accessKeyID.map { printable($0) }), isRetryable: isRetryable
    ).denied(isDenied)
  }

  /// Whether someone has to grant access, or provide other credentials.
  private var isDenied: Bool {
    switch code {
    case "AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "InvalidAccessKeyId",
      "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "ExpiredTokenException",
      "TokenRefreshRequired", "KMS.AccessDeniedException":
      true
    case "RequestTimeTooSkewed", "RequestExpired", "InvalidObjectState": false
    default: (status == 401 || status == 403) && !isWrongRegion
    }
  }

  private func hint(_ action: StoreAction, key: String?) -> String? {
    let who = key.map { "the access key \($0)" } ?? "anonymous requests"
    switch code {
    case "AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden":
      return denied(action, key)
    case "InvalidAccessKeyId":
      return "\(who) is unknown to this store: check the key, and that the endpoint is the right"
        + " store"
    case "SignatureDoesNotMatch":
      return "the secret access key does not belong to \(who): check AWS_SECRET_ACCESS_KEY or the"
        + " profile for a mistyped or truncated value; if it is right, a proxy in between changes requests"
    case "XAmzContentSHA256Mismatch", "BadDigest":
      return "the object was changed in transit: check proxies and devices in between, and use"
        + " https://"
    case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
      return "the temporary credentials have expired, and their source provides no newer ones"
    case "InvalidToken":
      return "the session token does not belong to \(who): set AWS_ACCESS_KEY_ID,"
        + " AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN together, or unset the token"
    case "NoSuchBucket":
      return "create the bucket, or check its name, the region and the endpoint"
    case "InvalidBucketName":
      return "check the name of the bucket"
    case "RequestTimeTooSkewed", "RequestExpired":
      return "set this machine's clock: it is too far from the store's"
    case "KMS.DisabledException", "KMS.NotFoundException", "KMS.AccessDeniedException",
      "KMS.KMSInvalidStateException":
      return "check the KMS key and its policy: \(who) must be allowed to use it"
    case "InvalidObjectState":
      return "the object is in an archive class: restore it in S3 first, and remove the lifecycle"
        + " rule that put it there"
    case "InvalidStorageClass":
      return "this store does not support the storage class in ?storage-class="
    case "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage":
      return "the store is full: enlarge it or its quota, or keep fewer backups"
    case "KeyTooLongError": return "the prefix is too long: shorten it"
    case "MethodNotAllowed", "NotImplemented": return "this store does not support the operation"
    default:
      if isWrongRegion {
        return region.map { "the bucket is in \($0): add ?region=\($0) to the URL" }
          ?? "add ?region=… with the bucket's region to the URL"
      }
      if status == 401 || status == 403 { return denied(action, key) }
      if status == 404, code.isEmpty {
        return "this is not a valid \"not found\" reply of S3: check the endpoint"
      }
      return ServerFault.hint(status: status)
    }
  }

  /// The advice is never to open a bucket to everyone: backups hold all of Redis's data.
  private func denied(_ action: StoreAction, _ key: String?) -> String {
    guard let key else {
      return "requests are not signed: remove ?anonymous=true, and use credentials that have"
        + " \(action.rights)"
    }
    let missing =
      action == .read
      ? "; without s3:ListBucket, S3 also denies access to objects that do not exist" : ""
    return
      "allow the access key \(key) \(action.rights) in its policy and in the bucket's\(missing)"
  }
}
