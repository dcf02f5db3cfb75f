import BackupTypes
import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import SystemIO

/// Which links in a server's directory are followed. None of them may give access to a file that its owner
/// can't read.
@Suite struct LinkSafetyTests {
  private func status(_ owner: UInt32, mode: UInt32 = 0o755) -> FileStatus {
    let time = FileMoment(seconds: 1, nanoseconds: 0)
    return FileStatus(
      device: 1, inode: 1, size: 1, modified: time, changed: time, born: nil, links: 1,
      owner: owner, group: 1, mode: mode, kind: .regular)
  }

  /// The owners of the link, the file and the directory, and whether others may write to the directory.
  @Test(
    arguments: [
      (7, 7, 7, false, true), (7, 7, 0, true, true), (7, 8, 7, false, false),
      (7, 0, 7, false, false), (7, 0, 0, true, false), (0, 7, 7, false, true),
      (0, 7, 7, true, true), (0, 0, 7, false, false), (0, 8, 7, false, false),
      (0, 0, 0, false, true), (0, 0, 0, true, false), (0, 7, 0, false, false),
    ] as [(UInt32, UInt32, UInt32, Bool, Bool)])
  func `a link is followed only to what its owner could have put there`(
    link: UInt32, file: UInt32, directory: UInt32, isShared: Bool, isSafe: Bool
  ) {
    for mode: UInt32 in isShared ? [0o775, 0o757, 0o2770] : [0o755, 0o700] {
      #expect(
        OpenDirectory.isSafe(
          status(link), to: status(file), in: status(directory, mode: mode)) == isSafe,
        "\(mode)")
    }
  }

  /// The server's user repeatedly replaces a link that is followed by one that is not.
  @Test(.enabled(if: geteuid() == 0, "only root gives links to other users"))
  func `a link that changes while it is opened leads nowhere else`() throws {
    let scratch = try Scratch()
    try scratch.write("mine", "mine")
    try scratch.write("secret", "secret")
    let user: UInt32 = 12345
    for name in ["", "mine"] { #expect(lchown(scratch.path(name).string, user, user) == 0) }
    #expect(symlink("mine", scratch.path("dump.rdb").string) == 0)
    #expect(symlink("secret", scratch.path("other").string) == 0)
    #expect(lchown(scratch.path("other").string, user, user) == 0)
    let path = scratch.path
    let inner = try OpenDirectory(path, followsLinks: true)
    let (place, aside) = (path.appending("dump.rdb").string, path.appending("aside").string)
    let other = path.appending("other").string
    let isOver = Mutex(false)
    let rounds = Mutex(0)
    let thread = try SystemThread(name: "exchange") {
      while !isOver.withLock({ $0 }) {
        // The other link takes the name, and then the first one gets it back.
        rename(place, aside)
        rename(other, place)
        rename(place, other)
        rename(aside, place)
        rounds.withLock { $0 += 1 }
      }
    }
    for _ in 0..<1000 {
      do throws(LifeboatError) {
        guard let file = try inner.open("dump.rdb") else { continue }
        #expect(String(decoding: try file.readAll(limit: 100), as: UTF8.self) == "mine")
      } catch {
        #expect(error.code == .corrupt, "\(error)")
      }
    }
    isOver.withLock { $0 = true }
    thread.join()
    #expect(rounds.withLock { $0 } > 0)
    #expect(try inner.open("dump.rdb")?.readAll(limit: 100) == Array("mine".utf8))
    withExtendedLifetime(scratch) {}
  }
}
