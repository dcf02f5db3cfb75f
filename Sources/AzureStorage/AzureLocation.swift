package import BackupTypes
import ObjectStorage

/// What a repository URL says: `az://container/prefix?account=NAME&endpoint=…`.
package struct AzureLocation: Sendable, Hashable {
  package var container: String
  /// No "/" at either end. May be empty.
  package var prefix: String
  /// The storage account; nil if the URL does not name one.
  package var account: String?
  /// The address of the blob service, without "/" at the end. If the service expects the account in the path,
  /// the path contains it: `http://127.0.0.1:10000/devstoreaccount1`. nil: Azure's default endpoint.
  package var endpoint: String?

  /// For messages, without options.
  package var description: String {
    "az://" + printable(container) + (prefix.isEmpty ? "" : "/" + printable(prefix))
  }

  /// The options, in the order in which messages list them.
  package static let options = ["account", "endpoint"]
  /// - Throws: `.usage`, with what is wrong.
  package init(url: String) throws(LifeboatError) {
    let query = url.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
    let names = query.split(separator: "&").map { String($0.prefix { $0 != "=" }) }
    // Somebody pasted a shared access signature.
    if names.contains(where: { $0.lowercased() == "sig" }) {
      throw LifeboatError(
        .usage, "can't use the repository: its URL contains a shared access signature",
        cause: "a URL is shown in logs and in the list of processes",
        hint: "set it as AZURE_STORAGE_SAS_TOKEN; the form is az://container/prefix?account=NAME")
    }
    let parts = try BucketURL(url, scheme: "az", options: AzureLocation.options)
    container = parts.bucket
    prefix = parts.prefix
    account = parts["account"]
    endpoint = try parts.endpoint()
    guard AzureLocation.isContainer(container) else {
      throw parts.error(
        "the name of a container has 3 to 63 lower-case letters, digits and single \"-\"")
    }
    // Some of Azure's own clients drop such a dot. They would not find the backup.
    guard !prefix.split(separator: "/").contains(where: { $0.hasSuffix(".") }) else {
      throw parts.error("a part of the prefix ends with \".\", which Azure does not allow")
    }
    if let account, !AzureLocation.isAccount(account) {
      throw parts.error("the name of a storage account has 3 to 24 lower-case letters and digits")
    }
    if let endpoint, AzureLocation.isSecondary(endpoint) {
      throw parts.error(
        "the secondary endpoint of an account lags behind: a backup that it does not list yet would"
          + " look absent")
    }
  }

  static func isAccount(_ text: String) -> Bool {
    (3...24).contains(text.utf8.count) && text.utf8.allSatisfy(isLetterOrDigit)
  }

  private static func isContainer(_ text: String) -> Bool {
    (3...63).contains(text.utf8.count) && !text.hasPrefix("-") && !text.hasSuffix("-")
      && text.firstRange(of: "--") == nil
      && text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == 0x2d }
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (97...122).contains(byte) || (48...57).contains(byte)
  }

  static func isSecondary(_ endpoint: String) -> Bool {
    let rest = endpoint.firstRange(of: "://").map { endpoint[$0.upperBound...] } ?? endpoint[...]
    return rest.prefix { $0 != "." && $0 != "/" && $0 != ":" }.lowercased().hasSuffix("-secondary")
  }
}
