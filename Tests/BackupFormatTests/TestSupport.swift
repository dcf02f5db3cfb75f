import BackupFormat
import BackupTypes

/// A seeded generator (SplitMix64), so that a failing run can be repeated.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

let repository = Nonce(bytes: [UInt8](repeating: 0xab, count: 16))!
let writer = Nonce(bytes: [UInt8](repeating: 0xcd, count: 16))!
let secrets = RepositorySecrets(
  repositoryKey: [UInt8](repeating: 1, count: 32), repository: repository)

func code(_ body: () throws -> Void) -> ExitCode? {
  do { try body() } catch let error as LifeboatError { return error.code } catch { return .failure }
  return nil
}
