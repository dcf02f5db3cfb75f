import BackupTypes
import CloudAuth
import SystemIO
import TestSupport

extension Given {
  /// Only files in /tmp are read from this machine.
  static func google(_ environment: [String: String]) -> GoogleSettings {
    GoogleSettings(environment: environment) { path in
      path.hasPrefix("/tmp/") ? try GoogleSettings.read(path) : nil
    }
  }

  /// A credential file in a new directory, for `GOOGLE_APPLICATION_CREDENTIALS`.
  static func credentialFile(
    _ text: String, in directory: TemporaryDirectory,
    environment: [String: String] = [:], clockOffset: Int64 = 0
  ) throws -> GoogleFileSource {
    let path = directory("credentials.json")
    try TestFiles.write(text, to: path)
    return GoogleFileSource(
      .environment,
      settings: google(environment.merging(["GOOGLE_APPLICATION_CREDENTIALS": path]) { $1 }),
      client: try Given.client(),
      now: { SystemClock.now().advanced(byMilliseconds: clockOffset) })
  }

  static func metadata(
    _ server: GoogleServer, _ extra: [String: String] = [:]
  ) throws -> GoogleMetadataSource {
    let host = String(server.url.dropFirst("http://".count))
    return GoogleMetadataSource(
      settings: google(["GCE_METADATA_HOST": host].merging(extra) { $1 }),
      client: try Given.client(), now: { SystemClock.now() })
  }
}
