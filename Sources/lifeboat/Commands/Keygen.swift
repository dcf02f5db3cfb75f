import ArgumentParser
import BackupFormat
import BackupTypes
import SystemIO

struct Keygen: ExitingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a key for an encrypted repository, and print it.",
    discussion: """
      One line on standard output: (umask 077; lifeboat keygen >lifeboat.key). The first ship to an \
      empty prefix with this key makes an encrypted repository there; every command that opens it then \
      needs the key.
      """)

  @Flag(help: "Print one JSON document.")
  var json = false

  private struct Document: Encodable { var key: String }

  func execute() async throws -> BackupTypes.ExitCode {
    let key = EncryptionKey(bytes: secureRandomBytes(EncryptionKey.byteCount)).reveal()
    if json { try Console.json(Document(key: key)) } else { Console.line(key) }
    Console.note(
      """
      lifeboat: without this key nobody can read the backups, and nobody can make it again: keep two \
      copies, both away from the bucket and from the cluster
      """)
    return .success
  }
}
