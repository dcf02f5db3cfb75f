package import Auditing
import BackupFormat
package import BackupTypes
import RedisFormats
package import SystemIO
import WriterLogic

/// What an auditor looks at if the source is a replication link: the server itself, over a separate
/// connection.
///
/// The server says its offset. The receiver is asked for one thing only: the end of the last command before
/// that offset that changes data. PINGs after it are never uploaded.
package struct LinkAudit: AuditedSource {
  private let server: LinkServer
  private let state: LinkState
  private let time: any TimeSource
  private let root: FileIdentity
  private var session: RedisSession?

  package init(_ server: LinkServer, _ state: LinkState, time: any TimeSource) {
    self.server = server
    self.state = state
    self.time = time
    root = state.nextIdentity()
  }

  package mutating func sample() throws(LifeboatError) -> SourceSample {
    let (at, wall) = (time.monotonic, time.wall)
    let info = try ask()
    guard let line = state.line else {
      throw LifeboatError(
        .failure, "there is no link to \(server.url) yet", isRetryable: true)
    }
    let facts = line.facts
    var sample = SourceSample(at: at, wall: wall, root: root, line: .none, dump: nil)
    if let id = line.id, let theirs = info.historyID, id != theirs {
      state.noteForeign()
      sample.line = .unusable(
        "\(server.url) has a different replication history from the one that is followed")
      return sample
    }
    let base = SourceSample.File(
      name: facts.base.name, version: facts.base.version,
      isKeyless: line.isEmpty && !line.isOutdated(by: info))
    var files = facts.files.map { SourceSample.File(name: $0.name, version: $0.version) }
    if line.id != nil, let offset = info.offset, offset > max(facts.received, facts.lastStart),
      !files.isEmpty
    {
      files[files.count - 1].version.size = offset - facts.lastStart
    }
    sample.line = .log(SourceSample.Log(base: base, files: files, manifestModified: nil))
    return sample
  }

  private mutating func ask() throws(LifeboatError) -> ReplicationInfo {
    let session: RedisSession
    if let open = self.session { session = open } else { session = try server.connect() }
    self.session = nil
    let info = try session.info()
    self.session = session
    return info
  }

  package func read(_ file: SourceSample.File, from offset: UInt64, count: Int) -> [UInt8]? {
    guard let line = state.line, let part = line.part(named: file.version.identity) else {
      return nil
    }
    let from = part.start + offset
    return line.bytes(from: from, to: from + UInt64(count)).bytes
  }
}
