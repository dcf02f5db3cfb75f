import TestSupport

/// Certificates made with openssl: an authority, a server and a client issued by it, and a client that it did
/// not issue.
struct Certificates {
  private let directory: TemporaryDirectory
  func file(_ name: String) -> String { directory(name) }

  init() async throws {
    directory = try TemporaryDirectory("tls")
    for name in ["ca", "stranger"] {
      try await openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", file("\(name).key"), "-out",
        file("\(name).pem"), "-days", "2", "-subj", "/CN=\(name)")
    }
    for name in ["server", "client"] {
      try await openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", file("\(name).key"), "-out",
        file("\(name).csr"), "-subj", "/CN=\(name)")
      try TestFiles.write("subjectAltName=IP:127.0.0.1\n", to: file("\(name).ext"))
      try await openssl(
        "x509", "-req", "-in", file("\(name).csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"),
        "-CAcreateserial", "-days", "2", "-extfile", file("\(name).ext"), "-out",
        file("\(name).pem"))
    }
  }

  private func openssl(_ arguments: String...) async throws {
    let process = try ChildProcess("/usr/bin/openssl", arguments)
    guard try await process.wait() == .exited(0) else {
      throw HarnessError("openssl \(arguments[0]) failed")
    }
  }
}
