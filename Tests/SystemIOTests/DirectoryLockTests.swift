import SystemIO
import SystemPackage
import Testing

@Suite struct DirectoryLockTests {
  private func isTaken(_ answer: DirectoryLock.Answer) -> Bool {
    if case .taken = answer { true } else { false }
  }
  private func isHeld(_ answer: DirectoryLock.Answer) -> Bool {
    if case .held = answer { true } else { false }
  }

  @Test func `it is exclusive, leaves nothing behind, and goes with its holder`() throws {
    let scratch = try Scratch()
    // The same directory, opened again as another process would.
    let other = try OpenDirectory(scratch.path)
    do {
      let first = scratch.directory.tryLock()
      #expect(isTaken(first))
      #expect(isHeld(other.tryLock()) && isHeld(scratch.directory.tryLock()))
      #expect(try scratch.names.isEmpty)
      withExtendedLifetime(first) {}
    }
    #expect(isTaken(other.tryLock()))
    #expect(isTaken(other.tryLock()))
  }
}
