/// The environment of a copy's store: credentials, region and endpoint of another account.
///
/// `LIFEBOAT_TO_AWS_ACCESS_KEY_ID` is `AWS_ACCESS_KEY_ID` for the copy alone. If one variable of a vendor is
/// given in this way, no variable of that vendor is taken from the source's environment: a mixture would be
/// half of each account's credentials.
enum CopyEnvironment {
  private static let prefix = "LIFEBOAT_TO_"
  /// The prefixes of each vendor's variables.
  private static let vendors = [
    ["AWS_"], ["GOOGLE_", "CLOUDSDK_", "GCE_", "STORAGE_"],
    ["AZURE_", "IDENTITY_", "MSI_"],
  ]

  /// `AWS_PROFILE` of `LIFEBOAT_TO_AWS_PROFILE`; nil for any other variable.
  static func vendorVariable(_ name: String) -> String? {
    guard name.hasPrefix(prefix) else { return nil }
    let variable = String(name.dropFirst(prefix.count))
    return vendor(of: variable) == nil ? nil : variable
  }

  private static func vendor(of variable: String) -> Int? {
    vendors.firstIndex { $0.contains { variable.hasPrefix($0) && variable != $0 } }
  }

  /// - Parameter environment: of the process.
  static func made(from environment: [String: String]) -> [String: String] {
    var given: [String: String] = [:]
    for (name, value) in environment {
      if let variable = vendorVariable(name) { given[variable] = value }
    }
    let replaced = Set(given.keys.compactMap { vendor(of: $0) })
    return environment.filter { variable, _ in
      vendor(of: variable).map { !replaced.contains($0) } ?? true
    }.merging(given) { $1 }
  }
}
