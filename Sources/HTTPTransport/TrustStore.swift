package import BackupTypes
import SystemIO
import SystemPackage

/// The certificate authorities that a server's certificate is checked with.
///
/// libcurl, unlike its command line, ignores `SSL_CERT_FILE` and `CURL_CA_BUNDLE` (measured), and
/// its compiled-in default is one distribution's path, so both are resolved here.
package struct TrustStore: Sendable, Hashable {
  /// The file of certificates in PEM; nil when this machine has none.
  package var file: String?
  /// For messages: `AWS_CA_BUNDLE`, `the system's store`.
  package var origin: String

  package init(file: String?, origin: String) {
    self.file = file
    self.origin = origin
  }

  /// The variables that name a file, the most specific first.
  package static let variables = ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"]
  /// Debian, Red Hat, Red Hat's newer path, Alpine and macOS, SUSE.
  static let systemFiles = [
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
  ]

  /// - Parameters:
  ///   - caFile: what `--ca-file` said; nil without it.
  ///   - environment: the process's variables.
  /// - Throws: `.usage` when a file was named and can't be read.
  package static func resolve(
    caFile: String?, environment: [String: String]
  ) throws(LifeboatError) -> TrustStore {
    if let caFile { return try named(caFile, origin: "--ca-file") }
    for variable in variables {
      if let path = environment[variable], !path.isEmpty {
        return try named(path, origin: variable)
      }
    }
    let found = systemFiles.first { isReadable($0) }
    return TrustStore(file: found, origin: "the system's store")
  }

  /// The error of a request over TLS without any certificate to trust.
  static let none = LifeboatError(
    .storeUnavailable, "there are no CA certificates to check the server's certificate against",
    cause: "none of " + systemFiles.joined(separator: ", ") + " exists",
    hint: "install the package ca-certificates, or name a file with --ca-file or AWS_CA_BUNDLE")

  private static func named(_ path: String, origin: String) throws(LifeboatError) -> TrustStore {
    guard isReadable(path) else {
      throw LifeboatError(
        .usage, "can't read the CA certificates \(printable(path))", cause: "named by \(origin)",
        hint: "name a readable file of PEM certificates, or leave \(origin) out to use the"
          + " system's")
    }
    return TrustStore(file: path, origin: origin)
  }

  private static func isReadable(_ path: String) -> Bool {
    (try? OpenFile(reading: FilePath(path), links: .follow)) != nil
  }
}
