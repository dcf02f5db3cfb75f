import Glibc

/// TLS in front of a server on loopback, with a new certificate. It stops when the last reference is
/// released.
package final class TLSFront: Sendable {
  package let port: UInt16
  private let directory: TemporaryDirectory
  private let process: ChildProcess

  package var url: String { "https://127.0.0.1:\(port)" }
  /// The file of the self-signed certificate.
  package var certificate: String { directory("cert.pem") }

  /// - Parameter name: the certificate's subject alternative name.
  package init(of target: UInt16, name: String = "IP:127.0.0.1") async throws {
    directory = try TemporaryDirectory("tls")
    let made = try ChildProcess(
      "/usr/bin/openssl",
      [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", directory("key.pem"), "-out",
        directory("cert.pem"), "-days", "2", "-subj", "/CN=test", "-addext",
        "subjectAltName=\(name)",
      ])
    guard try await made.wait() == .exited(0) else { throw HarnessError("openssl req failed") }
    process = try ChildProcess(
      "/usr/bin/env", ["python3", "-c", TLSFront.script, directory.path, "\(target)"])
    let file = directory("port")
    try await eventually("the TLS front listens") { TestFiles.exists(file) }
    guard let port = UInt16(try TestFiles.text(file)) else { throw HarnessError("no port") }
    self.port = port
  }

  deinit { process.kill() }

  private static let script = """
    import os, select, socket, ssl, sys, threading
    folder, target = sys.argv[1], int(sys.argv[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    with open(folder + "/port.new", "w") as file:
        file.write(str(listener.getsockname()[1]))
    os.rename(folder + "/port.new", folder + "/port")
    def serve(plain):
        try:
            client = context.wrap_socket(plain, server_side=True)
            server = socket.create_connection(("127.0.0.1", target))
            while True:
                ready = [client] if client.pending() else select.select([client, server], [], [])[0]
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)
        except OSError:
            return
        finally:
            plain.close()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()
    """
}
