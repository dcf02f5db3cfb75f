import ArgumentParser
import BackupTypes
import RepositoryAccess
import Shipping

struct Status: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the state of the running sidecar.",
    discussion: """
      Asks `lifeboat ship` on this machine or in this pod; needs no store and no credentials. Exit 0: \
      everything on disk is backed up, or an upload is running and not late. Exit 1: otherwise; the \
      first line says why.

      Examples:
        lifeboat status
        lifeboat status --admin-listen 127.0.0.1:9850 --json
      """)

  @OptionGroup var admin: AdminOptions
  @Flag(help: "Print one JSON document.")
  var json = false

  func execute() async throws -> BackupTypes.ExitCode {
    let document = try await AdminClient(admin).get(StatusDocument.self, "/status")
    if json { try Console.json(document) } else { Console.write(document.text) }
    return document.isWell ? .success : .failure
  }
}
