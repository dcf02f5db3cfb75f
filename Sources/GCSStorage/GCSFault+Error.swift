import BackupTypes
import CloudAuth
import HTTPTransport

extension StoreAction {
  /// The Google IAM permission it needs.
  fileprivate var permission: String {
    switch self {
    case .create: "storage.objects.create"
    case .read: "storage.objects.get"
    case .list: "storage.objects.list"
    case .delete: "storage.objects.delete"
    }
  }
}

extension GCSFault {
  /// - Parameters:
  ///   - object: the object of the action, printable: `gs://bucket/prefix/name`.
  ///   - identity: the owner of the token; nil if there was none.
  func error(_ action: StoreAction, _ object: String, identity: String?) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "can't \(action.rawValue) \(object)", cause: words,
      hint: hint(action, identity: identity.map { printable($0) }), isRetryable: isRetryable
    ).denied(isDenied)
  }

  /// Whether somebody has to grant access, or provide other credentials.
  private var isDenied: Bool {
    switch reason {
    case "retentionPolicyNotMet", "objectUnderActiveHold", "userProjectMissing", "accountDisabled",
      "billingNotEnabled", "userProjectAccountProblem", "accessNotConfigured", "SERVICE_DISABLED":
      false
    default: (status == 401 || status == 403) && !isRetryable
    }
  }

  private func hint(_ action: StoreAction, identity: String?) -> String? {
    let who = identity ?? "anonymous requests"
    switch reason {
    case "retentionPolicyNotMet", "objectUnderActiveHold":
      return
        "the bucket's retention policy or a hold protects the object: it can be deleted when that ends"
    case "userProjectMissing":
      return
        "the bucket has requester pays enabled: set the project with GOOGLE_CLOUD_QUOTA_PROJECT"
    case "accountDisabled", "billingNotEnabled", "userProjectAccountProblem":
      return
        "billing is disabled for the project, or its account has a problem: check Google's console"
    case "accessNotConfigured", "SERVICE_DISABLED":
      return "enable the Cloud Storage API in the project"
    default: break
    }
    if status == 403, message.lowercased().contains("scope") {
      return
        "the machine's access scopes do not include writing to Cloud Storage: give it the scope"
        + " cloud-platform"
    }
    switch status {
    case 401:
      return identity == nil
        ? "anonymous requests are refused: remove ?anonymous=true"
        : "the token of \(who) is rejected: check that the account is not disabled, and that the"
          + " endpoint is the right store"
    case 403 where identity == nil:
      return "requests are anonymous: remove ?anonymous=true, and use credentials that have"
        + " \(action.permission)"
    case 403:
      return
        "grant \(who) \(action.permission) on the bucket: roles/storage.objectUser has all required"
        + " permissions"
    case 404:
      return reason.isEmpty
        ? "this is not a valid \"not found\" reply of Google: check the endpoint"
        : "create the bucket, or check its name and the endpoint"
    case 400 where isDamage:
      return "the object was changed in transit: check proxies and devices in between"
    default: return ServerFault.hint(status: status)
    }
  }
}
