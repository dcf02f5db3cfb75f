import BackupTypes
import CloudAuth
import HTTPTransport

extension StoreAction {
  /// The data action that a role has to allow, below `Microsoft.Storage/storageAccounts/blobServices/`.
  fileprivate var permission: String {
    switch self {
    case .create: "containers/blobs/write"
    case .read, .list: "containers/blobs/read"
    case .delete: "containers/blobs/delete"
    }
  }

  /// The letter that `sp=` of a shared access signature has to contain.
  fileprivate var letter: String {
    switch self {
    case .create: "c"
    case .read: "r"
    case .list: "l"
    case .delete: "d"
    }
  }
}

extension AzureFault {
  /// - Parameters:
  ///   - object: the object of the action, printable: `az://container/prefix/name`.
  ///   - identity: the owner of the credentials; nil if there were none.
  func error(_ action: StoreAction, _ object: String, identity: String?) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "can't \(action.rawValue) \(object)", cause: words,
      hint: hint(action, identity: identity.map { printable($0) }), isRetryable: isRetryable
    ).denied(isDenied)
  }

  /// Whether somebody has to grant access or supply other credentials.
  private var isDenied: Bool {
    if isClock || isRetryable { return false }
    switch code {
    case "AccountIsDisabled", "InvalidAuthenticationInfo": return code != "AccountIsDisabled"
    default: return status == 401 || status == 403
    }
  }

  private func hint(_ action: StoreAction, identity: String?) -> String? {
    let who = identity ?? "anonymous requests"
    if isClock { return "set this machine's clock: it is too far from the store's" }
    switch code {
    case "AuthenticationFailed":
      return "\(who) is rejected: check the key or the signature for a truncated value and the"
        + " signature's expiry (se=), that it belongs to this account, and that no proxy changes requests"
    case "InvalidAuthenticationInfo":
      return "the token of \(who) is rejected: check that the identity still exists, and that its"
        + " tenant is that of the account"
    case "AuthorizationPermissionMismatch", "InsufficientAccountPermissions":
      return "grant \(who) \(action.permission) on the container: the role Storage Blob Data"
        + " Contributor has all required permissions, and takes some minutes to take effect; a shared"
        + " access signature needs \"\(action.letter)\" in sp="
    case "AuthorizationFailure", "AuthorizationSourceIPMismatch":
      return "usually the account's firewall: allow this network, or use a private endpoint"
        + " (Networking in the portal)"
    case "KeyBasedAuthenticationNotPermitted":
      return "the account forbids keys and signatures made with them: use a workload or managed"
        + " identity"
    case "AuthorizationProtocolMismatch": return "use an https:// endpoint"
    case "AuthorizationServiceMismatch", "AuthorizationResourceTypeMismatch":
      return "the shared access signature is for another service or resource: it needs the blob"
        + " service, and the container or srt=co"
    case "PublicAccessNotPermitted", "NoAuthenticationInformation":
      return "requests were anonymous: give credentials"
    case "AccountIsDisabled": return "the account is disabled: check it in the portal"
    case "ContainerNotFound", "ResourceNotFound":
      return "create the container, or check its name, the account and the endpoint"
    case "ContainerBeingDeleted", "ContainerDisabled":
      return "the container is being deleted: wait some minutes, then create it again"
    case "InvalidResourceName": return "check the name of the container"
    case "BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold":
      return "the container's immutability policy or a legal hold protects the object: it can be"
        + " deleted when that ends"
    case "LeaseIdMissing", "LeaseAlreadyPresent":
      return "somebody holds a lease on the object or the container: break it (az storage blob"
        + " lease break)"
    case "SnapshotsPresent":
      return "the object has snapshots, which Lifeboat does not make: delete them, and whatever"
        + " makes them"
    case "BlobArchived", "BlobBeingRehydrated":
      return "the object is in the archive tier: rehydrate it to Hot first, and remove the"
        + " lifecycle rule that put it there"
    case "Md5Mismatch", "Crc64Mismatch":
      return "the object was changed in transit: check proxies and devices in between"
    default: break
    }
    if isAnswer { return "check the endpoint, and proxies and devices in between" }
    switch status {
    case 401:
      return "\(who) is rejected: check the credentials, and that the endpoint is the right store"
    case 403:
      return "grant \(who) \(action.permission) on the container: the role Storage Blob Data"
        + " Contributor has all required permissions"
    case 404:
      return code.isEmpty
        ? "this is not a valid \"not found\" reply of Azure: check the endpoint"
        : "create the container, or check its name and the endpoint"
    default: return ServerFault.hint(status: status)
    }
  }
}
