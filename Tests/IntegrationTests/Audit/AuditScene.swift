import Glibc
import TestSupport

/// A server that writes, a sidecar that ships its data, and something that goes wrong between them.
final class AuditScene {
  let row: AuditTable.Row
  let version: ServerVersion
  let place: Place
  /// The value of `--data`. A server can be made to write elsewhere.
  var shipped: String
  var arguments: [String] = []
  private(set) var server: RedisServer
  private var serverOptions: [String: String]
  private var step = 0

  init(_ row: AuditTable.Row, _ version: ServerVersion, _ place: Place) async throws {
    self.row = row
    self.version = version
    self.place = place
    shipped = place.data
    serverOptions = ["appendonly": "yes", "appendfsync": "always"]
    switch row.name {
    case "other dbfilename":
      serverOptions = ["appendonly": "no", "save": "1 1", "dbfilename": "snapshot.rdb"]
    case "other appendfilename": serverOptions["appendfilename"] = "other.aof"
    case "other appenddirname": serverOptions["appenddirname"] = "otherdir"
    case "wrong data directory": shipped = try place.folder.makeDirectory("empty")
    case "link flipped":
      shipped = place.folder("link")
      try AuditScene.link(shipped, to: place.data)
    case "CONFIG SET dir":
      arguments = ["--expect-writes", "30s"]
      serverOptions["enable-protected-configs"] = "yes"
    default: break
    }
    server = try await RedisServer.start(version, directory: place.data, options: serverOptions)
    try write()
  }

  /// Whether the sidecar sees the server's files before anything goes wrong.
  var isSeenAtFirst: Bool { !row.name.hasPrefix("other ") && row.name != "wrong data directory" }

  /// Writes one more key and returns its number.
  @discardableResult
  func write() throws -> Int {
    step += 1
    try server.command("SET", "step", "\(step)")
    try server.command("SET", "key:\(step)", "\(step)")
    return step
  }

  func sidecar() throws -> Shown {
    try Shown(place, arguments, data: shipped)
  }

  private var aof: String { place.data + "/appendonlydir" }
  private var manifest: String { aof + "/appendonly.aof.manifest" }

  private func last(_ part: String) throws -> String {
    let names = TestFiles.tree(aof).filter { $0.contains(part) }.sorted()
    guard let name = names.last else { throw HarnessError("no \(part) in \(aof)") }
    return aof + "/" + name
  }

  private func append(_ bytes: [UInt8], to path: String) throws {
    guard let file = fopen(path, "a") else { throw HarnessError("can't open \(path)") }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
  }

  private func move(_ from: String, _ to: String) throws {
    guard rename(from, to) == 0 else { throw HarnessError("can't rename \(from)") }
  }

  private static func link(_ path: String, to target: String) throws {
    unlink(path)
    guard symlink(target, path) == 0 else { throw HarnessError("symlink \(path)") }
  }

  /// Brings about the row's situation.
  func damage() async throws {
    switch row.name {
    case "manifest empty": truncate(manifest, 0)
    case "manifest truncated": truncate(manifest, off_t(try TestFiles.size(manifest) - 4))
    case "manifest unparsable": try append(Array("what is this\n".utf8), to: manifest)
    case "manifest deleted": unlink(manifest)
    case "manifest names a missing file":
      try append(Array("file appendonly.aof.9.incr.aof seq 9 type i\n".utf8), to: manifest)
    case "manifest names a file twice":
      let name = try last(".incr.").split(separator: "/").last!
      try append(Array("file \(name) seq 9 type i\n".utf8), to: manifest)
    case "AOF directory deleted": TestFiles.remove(aof)
    case "AOF directory renamed": try move(aof, aof + ".old")
    case "base deleted": unlink(try last(".base."))
    case "log file deleted": unlink(try last(".incr."))
    case "everything deleted":
      for name in TestFiles.tree(place.data) { unlink(place.data + "/" + name) }
      TestFiles.remove(aof)
    case "junk in the log": try append(Array("some other program\n".utf8), to: try last(".incr."))
    case "zeros behind the log":
      try append([UInt8](repeating: 0, count: 64), to: try last(".incr."))
    case "unfinished command":
      try append(Array("*3\r\n$3\r\nSET\r\n$1\r\nk".utf8), to: try last(".incr."))
    case "directory replaced":
      try move(place.data, place.data + ".bak")
      try TestFiles.makeDirectory(place.data)
    case "link flipped":
      try AuditScene.link(shipped, to: try place.folder.makeDirectory("elsewhere"))
    case "CONFIG SET dir":
      let other = try place.folder.makeDirectory("elsewhere")
      try server.command("CONFIG", "SET", "dir", other)
      try server.command("CONFIG", "SET", "appendonly", "no")
      try await settle()
      try server.command("CONFIG", "SET", "appendonly", "yes")
      try await settle()
    default: break
    }
  }

  /// Whether a server can load what is written now. After junk in the log, it can't load anything.
  var writesOn: Bool {
    !["zeros behind the log", "unfinished command", "wrong data directory"].contains(row.name)
  }

  private func settle() async throws {
    try await eventually(
      deadline: 60, "no rewrite is under way",
      condition: {
        try server.info("aof_rewrite_in_progress") == "0"
          && server.info("aof_rewrite_scheduled") == "0"
      })
  }

  /// Removes the cause. Returns whether the sidecar has to be restarted with other flags.
  func cure() async throws -> Bool {
    switch row.cure {
    case "rewrite":
      try await server.rewriteAOF()
      return false
    case "put back":
      switch row.name {
      case "directory replaced":
        TestFiles.remove(place.data)
        try move(place.data + ".bak", place.data)
      case "link flipped": try AuditScene.link(shipped, to: place.data)
      default:
        try server.command("CONFIG", "SET", "dir", place.data)
        try await server.rewriteAOF()
      }
      return false
    default:
      shipped = place.data
      switch row.name {
      case "other dbfilename": arguments = ["--dbfilename", "snapshot.rdb"]
      case "other appendfilename": arguments = ["--appendfilename", "other.aof"]
      case "other appenddirname": arguments = ["--appenddirname", "otherdir"]
      default: arguments = []
      }
      return true
    }
  }

  /// The last step that a restore gives.
  func restoredStep(into name: String) async throws -> Int {
    let target = try await place.restore(into: name)
    var options = serverOptions
    options["aof-load-truncated"] = "no"
    let again = try await RedisServer.start(version, directory: target, options: options)
    defer { _ = again.kill() }
    return Int(try again.command("GET", "step").string ?? "0") ?? 0
  }
}
