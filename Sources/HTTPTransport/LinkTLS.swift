import BackupTypes
import SystemIO
import SystemPackage

/// What a link over TLS needs: the certificates that it trusts, and the one that it shows. All are paths of
/// PEM files.
package struct LinkTLS: Sendable, Hashable {
  package var trust: TrustStore
  /// The client certificate and its chain; nil if the server does not require one.
  package var certificate: String?
  /// Not encrypted. Nil: it is in the file of the certificate.
  package var key: String?

  package init(trust: TrustStore, certificate: String? = nil, key: String? = nil) {
    self.trust = trust
    self.certificate = certificate
    self.key = key
  }

  /// - Throws: if there is no certificate to trust, or a named file can't be read.
  func check() throws(LifeboatError) {
    guard trust.file != nil else { throw TrustStore.noneForLink }
    guard key == nil || certificate != nil else {
      throw LifeboatError(
        .usage, "a key is set for the link, but no certificate",
        hint: "name the client certificate that belongs to the key, or remove the key")
    }
    let files = [(certificate, "client certificate"), (key, "key of the client certificate")]
    for (path, what) in files {
      guard let path else { continue }
      do throws(LifeboatError) {
        _ = try OpenFile(reading: FilePath(path), links: .follow)
      } catch {
        var error = error
        error.message = "can't read the \(what) \(printable(path))"
        throw error
      }
    }
  }
}

extension TrustStore {
  fileprivate static let noneForLink = LifeboatError(
    .failure, "there are no CA certificates to check the Redis server's certificate against",
    hint: "name the file of the CA that issued it, or install the package ca-certificates")
}
