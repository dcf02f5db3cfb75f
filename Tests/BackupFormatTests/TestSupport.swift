import BackupFormat
import BackupTypes

let repository = Nonce(bytes: [UInt8](repeating: 0xab, count: 16))!
let writer = Nonce(bytes: [UInt8](repeating: 0xcd, count: 16))!
let secrets = RepositorySecrets(
  repositoryKey: [UInt8](repeating: 1, count: 32), repository: repository)

func code(_ body: () throws -> Void) -> ExitCode? {
  do { try body() } catch let error as LifeboatError { return error.code } catch { return .failure }
  return nil
}
