import ArgumentParser
import BackupFormat
import BackupTypes
import SystemIO

struct Keygen: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Create a key for an encrypted repository, and print it.",
    discussion: """
      Prints one line. The first ship with this key to an empty prefix creates an encrypted repository. \
      From then on, every command on that repository needs the key.

      Examples:
        (umask 077; lifeboat keygen >lifeboat.key)
      """)

  @Flag(help: "Print one JSON document.")
  var json = false

  private struct Document: Encodable { var key: String }

  func execute() async throws -> BackupTypes.ExitCode {
    let key = EncryptionKey(bytes: secureRandomBytes(EncryptionKey.byteCount)).reveal()
    if json { try Console.json(Document(key: key)) } else { Console.line(key) }
    Console.note(
      """
      lifeboat: without this key nobody can read the backups, and it can't be recovered: keep two \
      copies, both outside the bucket and the cluster
      """)
    return .success
  }
}
