package import BackupTypes
import HTTPTransport
package import RedisFormats

/// What `doctor` finds out about the server of a replication link. It asks, and takes no full copy.
package struct LinkDiagnosis: Sendable {
  /// What the server answered.
  package struct Facts: Sendable {
    package var address: String
    package var info: ReplicationInfo
    /// To REPLCONF with what we announce.
    package var announcement: RESPReply
    /// To PSYNC, which came while an answer was pending: a server refuses it then, after it has looked at the
    /// user's rights.
    package var copy: RESPReply
    package init(
      address: String, info: ReplicationInfo, announcement: RESPReply, copy: RESPReply
    ) {
      self.address = address
      self.info = info
      self.announcement = announcement
      self.copy = copy
    }
  }

  /// Blocks for as long as the limits of the server's sessions say.
  package static func look(_ server: LinkServer) -> [Finding] {
    do throws(LifeboatError) {
      let session = try server.connect()
      defer { session.close() }
      let info = try session.info()
      let (announcement, copy) = try session.commands(
        ["REPLCONF", "capa", "eof", "capa", "psync2"], ["PSYNC", "?", "-1"])
      let facts = Facts(
        address: "\(session.address)", info: info, announcement: announcement, copy: copy)
      return findings(facts) { session.refusal($0, of: $1) }
    } catch {
      return [
        Finding(.link, "connection", failed: error, consequence: LinkDiagnosis.isNotBackedUp)
      ]
    }
  }

  private static let isNotBackedUp = "no write of this server can be backed up"

  /// - Parameter refusal: the error for a refused command.
  package static func findings(
    _ facts: Facts, refusal: (_ words: String, _ command: String) -> LifeboatError
  ) -> [Finding] {
    [server(facts)] + rights(facts, refusal) + circumstances(facts.info)
  }

  private static func server(_ facts: Facts) -> Finding {
    let info = facts.info
    do throws(LifeboatError) { _ = try info.position(at: facts.address) } catch {
      return Finding(.link, "server", failed: error, consequence: isNotBackedUp)
    }
    let name =
      (info.product == .valkey ? "Valkey" : "Redis") + (info.version.map { " \($0)" } ?? "")
    switch (info.role, info.upstream) {
    case (.replica, let upstream?) where !upstream.isUp:
      return Finding(
        .link, "server", .warning,
        "\(name) at \(facts.address) is a replica, and its link to \(upstream.host):\(upstream.port) is down",
        consequence: "it sends nothing to its replicas until the link is up",
        remedy: "check that primary, or name it in --replica-of")
    case (.replica, let upstream?):
      return Finding(
        .link, "server", .ok,
        "\(name) at \(facts.address), a replica of \(upstream.host):\(upstream.port)")
    default:
      return Finding(.link, "server", .ok, "\(name) at \(facts.address), a primary")
    }
  }

  private static func rights(
    _ facts: Facts, _ refusal: (_ words: String, _ command: String) -> LifeboatError
  ) -> [Finding] {
    for (reply, command) in [(facts.announcement, "REPLCONF"), (facts.copy, "PSYNC")] {
      guard case .error(let words) = reply, words.hasPrefix("NOPERM") else { continue }
      return [
        Finding(.link, "rights", failed: refusal(words, command), consequence: isNotBackedUp)
      ]
    }
    guard case .error(let words) = facts.copy, !words.contains("pending output") else {
      return [Finding(.link, "rights", .ok, "the user may replicate")]
    }
    let error = refusal(words, "PSYNC")
    return [
      Finding(
        .link, "rights", .warning, error.message + (error.cause.map { ": " + $0 } ?? ""),
        consequence: "it is not known whether the user may replicate", remedy: error.hint)
    ]
  }

  /// Below this an interruption of some minutes is likely to cost a full copy. Redis's default is 1 MiB.
  private static let smallBacklog: UInt64 = 16 << 20

  private static func circumstances(_ info: ReplicationInfo) -> [Finding] {
    var findings: [Finding] = []
    if let bytes = info.backlogBytesMax {
      let keeps = "the server keeps the last \(humanBytes(bytes)) of its stream (repl-backlog-size)"
      findings.append(
        bytes >= smallBacklog
          ? Finding(.link, "backlog", .ok, keeps)
          : Finding(
            .link, "backlog", .note, keeps,
            consequence:
              "if more is written while Lifeboat is disconnected, the server has to send a full copy again",
            remedy: "set repl-backlog-size to 64mb, or to what the server writes in some minutes"))
    }
    if info.isCluster {
      findings.append(
        Finding(
          .link, "cluster", .warning, "the server is a node of a cluster",
          consequence: "only the keys of its slots are backed up",
          remedy: "run `lifeboat ship` for each primary, each with its own repository"))
    }
    if info.hasAppendOnlyFile == true {
      findings.append(
        Finding(
          .link, "append-only-file", .note, "the server has an AOF",
          consequence:
            "each restart starts another replication history, which needs a full copy"))
    }
    return findings
  }
}
