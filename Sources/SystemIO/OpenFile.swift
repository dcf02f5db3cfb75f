package import BackupTypes
import CLinux
import Glibc
package import SystemPackage

/// An open file. It owns its descriptor and closes it when the last reference is released.
///
/// All reads and writes carry their offset (pread, pwrite), so several threads may use one file. An open file
/// stays readable after its name is gone. Pinning relies on this.
package final class OpenFile: Sendable {
  /// Whether a symbolic link as the last component is followed. Links are refused by default, because neither
  /// Redis nor Lifeboat makes any. Kubernetes mounts Secrets as links, so files that an operator names are
  /// opened with `.follow`.
  package enum LinkPolicy: Sendable { case refuse, follow }

  /// The path with which it was opened, for messages. The file may have been moved since.
  package let path: FilePath
  let descriptor: Int32

  init(descriptor: Int32, path: FilePath) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { _ = close(descriptor) }

  /// Opens for reading. With `.refuse`, anything but a regular file is `.corrupt`, and a FIFO does not make
  /// the open wait.
  package convenience init(
    reading path: FilePath, links: LinkPolicy = .refuse
  ) throws(LifeboatError) {
    let extra = links == .refuse ? O_NOFOLLOW | O_NONBLOCK : 0
    try self.init(path, flags: O_RDONLY | extra, mode: 0, action: "open")
    if links == .refuse { try requireRegular() }
  }

  /// Makes a new file for reading and writing. Throws `.refused` if the name exists.
  ///
  /// - Parameter mode: permission bits, reduced by the process's umask.
  package convenience init(creating path: FilePath, mode: UInt32) throws(LifeboatError) {
    try self.init(
      path, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode, action: "create")
  }

  /// Opens an existing regular file to read and write.
  package convenience init(openReadWrite path: FilePath) throws(LifeboatError) {
    try self.init(path, flags: O_RDWR | O_NOFOLLOW | O_NONBLOCK, mode: 0, action: "open")
    try requireRegular()
  }

  private convenience init(
    _ path: FilePath, flags: Int32, mode: UInt32, action: String
  ) throws(LifeboatError) {
    let result = path.withPlatformString { name in
      retryingInterrupts { clinux_openat(AT_FDCWD, name, flags | O_CLOEXEC, mode) }
    }
    switch result {
    case .success(let descriptor): self.init(descriptor: descriptor, path: path)
    case .failure(.fileExists): throw LifeboatError.exists(path)
    case .failure(let number): throw LifeboatError(number, action: action, path: path)
    }
  }

  func requireRegular() throws(LifeboatError) {
    guard try status().kind == .regular else {
      throw LifeboatError(.corrupt, "\(printable(path.description)) is not a regular file")
    }
  }

  package func status() throws(LifeboatError) -> FileStatus {
    var raw = clinux_status()
    guard clinux_status_of(descriptor, &raw) == 0 else { throw failure("look at") }
    return FileStatus(raw)
  }

  /// Fills `buffer` from `offset`. Returns fewer bytes only at the end of the file.
  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(LifeboatError) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    var done = 0
    while done < buffer.count {
      let position = try position(offset, plus: done)
      let result = retryingInterrupts {
        pread(descriptor, base + done, buffer.count - done, position)
      }
      switch result {
      case .success(0): return done
      case .success(let count): done += count
      case .failure(let number): throw LifeboatError(number, action: "read", path: path)
      }
    }
    return done
  }

  /// The whole content. More than `limit` bytes is `.corrupt`. Also reads files without a known size
  /// (`/proc`) and, if opened with `.follow`, pipes.
  package func readAll(limit: Int) throws(LifeboatError) -> [UInt8] {
    let status = try status()
    guard status.kind != .regular || status.size <= UInt64(limit) else { throw tooLarge(limit) }
    var content: [UInt8] = []
    if status.kind == .regular, status.size > 0 {
      // One byte more than the size, to detect the end.
      content = try readOnce(Int(status.size) + 1)
      guard content.count <= limit else { throw tooLarge(limit) }
      if content.count <= Int(status.size) { return content }
    }
    // The end was not reached: the kernel gave no size, or the file has just grown.
    let step = 65_536
    while true {
      let start = content.count
      content.append(contentsOf: [UInt8](repeating: 0, count: step))
      let count = try readNext(&content, from: start, sequential: status.kind != .regular)
      content.removeLast(step - count)
      guard content.count <= limit else { throw tooLarge(limit) }
      if count == 0 || (status.kind == .regular && count < step) { return content }
    }
  }

  /// The first `count` bytes, or fewer if the file ends before.
  private func readOnce(_ count: Int) throws(LifeboatError) -> [UInt8] {
    var failure: LifeboatError?
    let content = [UInt8](unsafeUninitializedCapacity: bulkCapacity(count)) { buffer, filled in
      let wanted = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
      do throws(LifeboatError) { filled = try read(into: wanted, at: 0) } catch { failure = error }
    }
    if let failure { throw failure }
    return content
  }

  private func readNext(
    _ content: inout [UInt8], from start: Int, sequential: Bool
  ) throws(LifeboatError) -> Int {
    var failure: LifeboatError?
    let count = content.withUnsafeMutableBytes { bytes -> Int in
      let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
      do throws(LifeboatError) {
        if !sequential { return try read(into: rest, at: UInt64(start)) }
        switch retryingInterrupts({ Glibc.read(descriptor, rest.baseAddress!, rest.count) }) {
        case .success(let count): return count
        case .failure(let number): throw LifeboatError(number, action: "read", path: path)
        }
      } catch {
        failure = error
        return 0
      }
    }
    if let failure { throw failure }
    return count
  }

  /// Writes all of `bytes` at `offset`.
  package func write(
    _ bytes: UnsafeRawBufferPointer, at offset: UInt64
  ) throws(LifeboatError) {
    guard let base = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      let position = try position(offset, plus: done)
      let result = retryingInterrupts {
        pwrite(descriptor, base + done, bytes.count - done, position)
      }
      switch result {
      // pwrite(2) of a regular file does not return 0. If it ever does, this is reported as EIO.
      case .success(0): throw LifeboatError(.ioError, action: "write", path: path)
      case .success(let count): done += count
      case .failure(let number): throw LifeboatError(number, action: "write", path: path)
      }
    }
  }

  /// fsync(2). After a failure, the content must be considered lost, since a second fsync may succeed without
  /// having written anything.
  package func synchronize() throws(LifeboatError) {
    try check(retryingInterrupts { fsync(descriptor) }, "synchronize")
  }

  package func truncate(to size: UInt64) throws(LifeboatError) {
    let size = try position(size, plus: 0)
    try check(retryingInterrupts { ftruncate(descriptor, size) }, "truncate")
  }

  /// - Parameter mode: the exact permission bits; the umask does not apply.
  package func setPermissions(_ mode: UInt32) throws(LifeboatError) {
    try check(retryingInterrupts { fchmod(descriptor, mode) }, "change the mode of")
  }

  package func setOwner(_ owner: UInt32, group: UInt32) throws(LifeboatError) {
    try check(retryingInterrupts { fchown(descriptor, owner, group) }, "change the owner of")
  }

  /// Sets the modification time and the access time.
  package func setModified(_ instant: Instant) throws(LifeboatError) {
    let milliseconds = instant.milliseconds
    let seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
    let time = Glibc.timespec(
      tv_sec: Int(seconds), tv_nsec: Int((milliseconds - seconds * 1000) * 1_000_000))
    var times = [time, time]
    if case .failure(let number) = retryingInterrupts({ futimens(descriptor, &times) }) {
      throw LifeboatError(number, action: "set the time of", path: path)
    }
  }

  /// Reserves disk space for the first `size` bytes, and makes the file that long. Does nothing on file
  /// systems that can't do this.
  package func allocate(_ size: UInt64) throws(LifeboatError) {
    let size = try position(size, plus: 0)
    guard size > 0 else { return }
    let result = retryingInterrupts { clinux_allocate(descriptor, Int64(size)) }
    switch result {
    case .failure(.notSupported), .failure(.notSupportedOnSocket), .failure(.noFunction),
      .failure(.invalidArgument):
      return
    default: try check(result, "allocate space for")
    }
  }

  /// Makes the system start to write [from, to) to the disk, so that `synchronize` takes less time. Only a
  /// hint.
  package func beginWriteback(from: UInt64, to: UInt64) {
    guard from < to, let start = off_t(exactly: from), let count = off_t(exactly: to - from) else {
      return
    }
    _ = clinux_begin_writeback(descriptor, Int64(start), Int64(count))
  }

  package func adviseSequential() {
    _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
  }

  /// Drops clean pages below `end` from the page cache, including those of other processes. It is for dumps
  /// and BASEs that nobody reads again, never for a live INCR. Only a hint.
  package func dropCache(upTo end: UInt64) {
    guard end > 0, let end = off_t(exactly: end) else { return }
    _ = posix_fadvise(descriptor, 0, end, POSIX_FADV_DONTNEED)
  }

  private func position(_ offset: UInt64, plus done: Int) throws(LifeboatError) -> off_t {
    let (sum, overflow) = offset.addingReportingOverflow(UInt64(done))
    guard !overflow, let position = off_t(exactly: sum) else {
      throw LifeboatError(.corrupt, "\(printable(path.description)) has no offset \(offset)")
    }
    return position
  }

  private func check(_ result: Result<Int32, Errno>, _ action: String) throws(LifeboatError) {
    if case .failure(let number) = result {
      throw LifeboatError(number, action: action, path: path)
    }
  }

  private func failure(_ action: String) -> LifeboatError {
    LifeboatError(.current, action: action, path: path)
  }

  private func tooLarge(_ limit: Int) -> LifeboatError {
    LifeboatError(
      .corrupt, "\(printable(path.description)) is larger than the \(humanBytes(limit)) allowed")
  }
}

extension LifeboatError {
  static func exists(_ path: FilePath) -> LifeboatError {
    LifeboatError(.refused, "\(printable(path.description)) exists already")
  }
}
