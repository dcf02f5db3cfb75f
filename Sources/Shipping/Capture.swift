import Auditing
import BackupFormat
package import BackupTypes
import RedisFormats
package import SystemIO
package import SystemPackage
package import WriterLogic

/// Holds Redis's files open and looks at the data directory.
///
/// The manifest's bytes and the open descriptors are authoritative; events only wake it up. It opens files
/// for reading only and never locks, links or writes, so it works on a read-only mount. Used by one task at
/// a time.
package final class Capture {
  package let path: FilePath
  let names: ServerNames
  private let time: any TimeSource
  /// The directory that the path led to when the capture began. Each look opens the path again, as long as it
  /// leads to the same directory.
  private(set) var directory: OpenDirectory
  private let root: FileIdentity
  private var lastDump: PinnedFile?
  private var files: [PinID: OpenFile] = [:]
  /// The pin to which a path in the data directory leads, as of the last look.
  private var current: [String: PinID] = [:]
  /// The paths that this look visited.
  private var visited: Set<String> = []
  private var lastPin = 0

  /// How often one look tries again if the set of files changes while it opens them.
  private static let attemptsMax = 20
  private static let manifestBytesMax = 4 << 20

  /// - Throws: why `path` is not a directory that can be read.
  package init(_ path: FilePath, names: ServerNames, time: any TimeSource) throws(LifeboatError) {
    self.path = path
    self.names = names
    self.time = time
    directory = try OpenDirectory(path, followsLinks: true)
    root = try FileIdentity(directory.status())
  }

  func openFile(_ pin: PinID) -> OpenFile? { files[pin] }

  /// Looks once. The dump is opened before the AOF is measured, so a dump seen now holds nothing that came
  /// after the measured log. The clock is read last. Otherwise bytes that a busy server appends during the
  /// look would be dated before they were written.
  ///
  /// The path is opened again each time. If it leads to another directory, the held files are measured, and
  /// the view says so.
  package func look() throws(LifeboatError) -> CaptureView {
    let now = try OpenDirectory(path, followsLinks: true)
    guard try FileIdentity(now.status()) == root else { return elsewhere(now) }
    directory = now
    visited = []
    let dump = try pin(names.dump, in: directory, as: names.dump)
    let aof = try observeAOF()
    let held = measure()
    let view = CaptureView(at: time.wall, dump: dump, aof: aof, held: held)
    lastDump = dump
    // A name that no manifest lists any more is dropped: its file is held only if the writer needs it.
    current = current.filter { visited.contains($0.key) }
    return view
  }

  private func elsewhere(_ other: OpenDirectory) -> CaptureView {
    let isFilled = [names.dump, names.appendFile, names.appendDirectory].contains {
      ((try? other.status(of: $0)) ?? nil) != nil
    }
    let held = measure()
    var view = CaptureView(
      at: time.wall, dump: lastDump, aof: .unsettled("\(path) is no longer the same directory"),
      held: held)
    view.otherDirectory = (true, isFilled)
    return view
  }

  /// The current status of every held file. A file whose status can't be read is left out: reading the file
  /// gives the reason.
  private func measure() -> [PinID: PinnedFile] {
    var held: [PinID: PinnedFile] = [:]
    for (pin, file) in files {
      guard let status = try? file.status(), let name = file.path.lastComponent?.string else {
        continue
      }
      held[pin] = PinnedFile(pin: pin, name: name, status: status)
    }
    return held
  }

  /// Closes every descriptor except those in `pins` and those that the last look found by name.
  package func release(except pins: Set<PinID>) {
    let held = pins.union(current.values)
    files = files.filter { held.contains($0.key) }
  }

  /// Sizes of pinned files that have no name any more: disk space that only Lifeboat keeps in use.
  package func unlinkedBytes() -> [PinID: UInt64] {
    var bytes: [PinID: UInt64] = [:]
    for (pin, file) in files {
      if let status = try? file.status(), status.links == 0 { bytes[pin] = status.size }
    }
    return bytes
  }

  /// Describes a save in progress that will soon give a new dump. The text changes while the save
  /// continues.
  package func savesInProgress() throws(LifeboatError) -> String {
    var state = ""
    for entry in try directory.entries()
    where entry.kind == .regular && entry.name.hasPrefix("temp-") && entry.name.hasSuffix(".rdb") {
      let size = try directory.status(of: entry.name)?.size
      state += "\(entry.name):\(size ?? 0);"
    }
    return state
  }

  // MARK: The AOF

  private func observeAOF() throws(LifeboatError) -> AOFView {
    guard let appendDirectory = try directory.openDirectory(names.appendDirectory) else {
      return try observeLegacy()
    }
    for _ in 0..<Capture.attemptsMax {
      guard let manifest = try read(names.manifest, in: appendDirectory) else {
        return try observeLegacy()
      }
      if try isUpgradeInterrupted(manifest.bytes, in: appendDirectory) {
        return try observeLegacy()
      }
      guard let set = try pinSet(manifest, in: appendDirectory) else { continue }
      guard try read(names.manifest, in: appendDirectory)?.bytes == manifest.bytes else { continue }
      return set
    }
    return .unsettled("the AOF manifest changes faster than its files can be opened")
  }

  /// Opens every file that the manifest names; nil if one is already gone.
  private func pinSet(
    _ manifest: (bytes: [UInt8], modified: FileMoment), in appendDirectory: OpenDirectory
  ) throws(LifeboatError) -> AOFView? {
    let parsed: AOFManifest
    do throws(AOFManifestFault) {
      parsed = try AOFManifest(parsing: manifest.bytes)
    } catch {
      return .unsettled("the AOF manifest is invalid, line \(error.line): \(error.reason)")
    }
    // A server loads such a file twice, which a chain of files can't express.
    if let name = parsed.nameTwice {
      return .unsettled("the AOF manifest lists \(printable(name)) twice")
    }
    func entry(_ entry: AOFManifest.Entry) throws(LifeboatError) -> AOFSetView.Entry? {
      let key = names.appendDirectory + "/" + entry.file
      return try pin(entry.file, in: appendDirectory, as: key).map {
        AOFSetView.Entry(file: $0, sequence: entry.sequence)
      }
    }
    // A manifest that closes its last file does not show that a server appends.
    let isClosed = parsed.increments.last?.isClosed ?? false
    var set = AOFSetView(
      form: .multiPart(directory: names.appendDirectory, manifest: names.manifest), base: nil,
      increments: [], manifestModified: isClosed ? nil : manifest.modified)
    if let base = parsed.base {
      guard let pinned = try entry(base) else { return nil }
      set.base = pinned
    }
    for increment in parsed.increments {
      guard let pinned = try entry(increment) else { return nil }
      set.increments.append(pinned)
    }
    return .set(set)
  }

  /// The manifest names the single AOF of Redis 6, which is still in the data directory.
  private func isUpgradeInterrupted(_ manifest: [UInt8], in appendDirectory: OpenDirectory)
    throws(LifeboatError) -> Bool
  {
    guard let parsed = try? AOFManifest(parsing: manifest), parsed.awaits(names.appendFile) else {
      return false
    }
    guard try appendDirectory.status(of: names.appendFile) == nil else { return false }
    return try directory.status(of: names.appendFile) != nil
  }

  /// The single AOF of Redis 6 and older. `CONFIG SET appendonly yes` leaves a zero-length one until its
  /// first rewrite ends.
  private func observeLegacy() throws(LifeboatError) -> AOFView {
    guard let file = try pin(names.appendFile, in: directory, as: names.appendFile) else {
      return .absent
    }
    guard file.size > 0 else { return .unsettled("\(names.appendFile) is empty") }
    return .set(
      AOFSetView(
        form: .legacy, base: nil, increments: [.init(file: file, sequence: 1)],
        manifestModified: nil))
  }

  private func read(_ name: String, in directory: OpenDirectory) throws(LifeboatError)
    -> (bytes: [UInt8], modified: FileMoment)?
  {
    guard let file = try directory.open(name) else { return nil }
    let bytes = try file.readAll(limit: Capture.manifestBytesMax)
    return (bytes, try file.status().modified)
  }

  // MARK: Pins

  /// The file to which `name` leads now. A descriptor that is open on the same inode is that file, since
  /// its inode number can't be reused while Lifeboat holds it.
  private func pin(_ name: String, in directory: OpenDirectory, as key: String)
    throws(LifeboatError) -> PinnedFile?
  {
    visited.insert(key)
    if let known = current[key], let file = files[known],
      let named = try directory.status(of: name)
    {
      let held = try file.status()
      if held.device == named.device, held.inode == named.inode {
        return PinnedFile(pin: known, name: name, status: held)
      }
    }
    guard let file = try directory.open(name) else {
      current[key] = nil
      return nil
    }
    let status = try file.status()
    guard status.kind == .regular else {
      throw LifeboatError(
        .corrupt, "\(path)/\(key) is not a regular file", hint: "find out what created it")
    }
    // A held file that comes back under its name, or under another, is the same file.
    if let known = try held(status) {
      current[key] = known
      return PinnedFile(pin: known, name: name, status: status)
    }
    lastPin += 1
    let pin = PinID(lastPin)
    files[pin] = file
    current[key] = pin
    return PinnedFile(pin: pin, name: name, status: status)
  }
}

extension Capture {
  /// The pin of the open descriptor on this file, if there is one.
  private func held(_ status: FileStatus) throws(LifeboatError) -> PinID? {
    for (pin, file) in files {
      let other = try file.status()
      if other.device == status.device, other.inode == status.inode { return pin }
    }
    return nil
  }
}

extension PinnedFile {
  init(pin: PinID, name: String, status: FileStatus) {
    self.init(
      pin: pin, name: name, size: status.size, modified: status.modified,
      born: status.born, identity: FileIdentity(status),
      changed: status.changed)
  }
}
