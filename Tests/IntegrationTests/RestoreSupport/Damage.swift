import Glibc
import TestSupport

/// Moves the modification time of a file back.
func setModified(_ path: String, secondsAgo: Int) throws {
  var now = timespec()
  clock_gettime(CLOCK_REALTIME, &now)
  var times = [now, now]
  for index in times.indices { times[index].tv_sec -= secondsAgo }
  guard utimensat(AT_FDCWD, path, times, 0) == 0 else {
    throw HarnessError("utimensat \(path): \(errno)")
  }
}

/// Flips one bit of a file.
func flipBit(_ path: String, at offset: Int) throws {
  var bytes = try TestFiles.read(path)
  bytes[offset] ^= 0x10
  try TestFiles.write(bytes, to: path)
}

/// The content of every file below a directory, by relative path, to check that nothing changed.
func contents(_ path: String) throws -> [String: [UInt8]] {
  var found: [String: [UInt8]] = [:]
  for name in TestFiles.tree(path) { found[name] = try TestFiles.read(path + "/" + name) }
  return found
}

/// Returns when the clock has reached the next second.
func nextSecond() async throws {
  let now = time(nil)
  try await eventually(deadline: 5, "the next second") { time(nil) > now }
}
