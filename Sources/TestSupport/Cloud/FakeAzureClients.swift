import Glibc

/// Third-party clients of Azure Blob Storage, as `scripts/stores` installs them.
package enum AzureClients {
  private static var folder: String {
    (getenv("LIFEBOAT_SERVERS").map { String(cString: $0) } ?? Checkout.root + "/.servers")
      + "/azure-clients"
  }

  /// Whether they are installed.
  package static var areInstalled: Bool { TestFiles.exists(folder + "/pins") }

  /// Runs `scripts/azure-clients` against a server. It copies everything below `source` to `target`.
  ///
  /// - Parameter client: `sdk`, `obstore` or `opendal`.
  /// - Returns: the output.
  /// - Throws: if the script exits with an error.
  package static func run(
    _ client: String, on server: FakeAzureServer, from source: String, to target: String
  ) async throws -> String {
    let python = try TestFiles.text(folder + "/python")
    let directory = try TemporaryDirectory("azure-clients")
    let process = try ChildProcess(
      String(python.prefix { $0 != "\n" }),
      [
        Checkout.root + "/scripts/azure-clients", client, server.url, FakeAzureServer.account,
        FakeAzureServer.key, server.signature("rcl"), "container", source, target,
      ],
      environment: ChildProcess.minimalEnvironment.merging([
        "PYTHONPATH": folder + "/packages", "PYTHONDONTWRITEBYTECODE": "1",
      ]) { $1 },
      directory: directory.path, output: .file(directory("out")), errors: .file(directory("out")))
    let exit = try await process.wait(deadline: 300)
    let text = (try? TestFiles.text(directory("out"))) ?? ""
    guard exit == .exited(0) else { throw HarnessError("\(client) ended with \(exit): \(text)") }
    return text
  }
}
