package import BackupTypes
package import RedisFormats

/// The facts that the responder reports about Lifeboat as a replica.
package struct ResponderFacts: Sendable, Equatable {
  /// The server that it replicates from, or was told to replicate from; nil before it knows one.
  package var upstream: LinkAddress?
  package var isLinkUp: Bool
  /// The position in the stream.
  package var offset: UInt64
  /// `run_id`: 40 hexadecimal digits, drawn at the start of the process.
  package var runID: String

  package init(upstream: LinkAddress?, isLinkUp: Bool, offset: UInt64, runID: String) {
    self.upstream = upstream
    self.isLinkUp = isLinkUp
    self.offset = offset
    self.runID = runID
  }
}

/// Answers the commands of one client as a replica that must never be promoted: pure.
///
/// Two kinds of clients come. A primary that executes FAILOVER becomes a replica of the replica that it
/// chose, and stays read-only until that one has answered PSYNC: an error makes it a primary again at once. A
/// FULLRESYNC would make it discard its data. A Sentinel asks every replica of a primary for INFO, and
/// promotes none whose priority is 0.
///
/// AUTH is never refused: a primary that executes FAILOVER and gets its AUTH refused would try again for
/// ever, and stay read-only. AUTH only decides who may make Lifeboat look at another primary, and who can see
/// which one it has.
package struct ResponderSession: Sendable {
  package enum Effect: Sendable, Equatable {
    /// The connection is closed after the reply.
    case close
    /// This client subscribes to the channel, or unsubscribes from all.
    case subscribe([UInt8])
    case unsubscribe
    /// A message for all clients that are subscribed to the channel.
    case publish(channel: [UInt8], message: [UInt8])
    /// A Sentinel, or a person, says that this is the primary.
    case follow(LinkAddress)
  }

  /// What is queued between MULTI and EXEC. A Sentinel queues four commands.
  static let queuedMax = 16
  static let queuedBytesMax = 16 << 10
  /// A Sentinel subscribes to one.
  static let channelsMax = 4

  private let credentials: LinkCredentials?
  private var isAuthenticated: Bool
  private var channels: [[UInt8]] = []
  private var queue: [[[UInt8]]]?
  private var isQueueBroken = false

  /// - Parameter credentials: nil if nobody has to authenticate.
  package init(credentials: LinkCredentials?) {
    self.credentials = credentials
    isAuthenticated = credentials == nil
  }

  /// - Parameters:
  ///   - command: its name and arguments; not empty.
  ///   - listeners: how many clients listen to a channel.
  /// - Returns: the effects, in this order. Only EXEC has more than one.
  package mutating func answer(
    _ command: [[UInt8]], facts: ResponderFacts, listeners: ([UInt8]) -> Int
  ) -> (reply: RESPReply, effects: [Effect]) {
    let words = command.prefix(3).map { String(decoding: $0, as: UTF8.self).uppercased() }
    switch words.first {
    case "MULTI" where queue == nil && command.count == 1:
      queue = []
      isQueueBroken = false
      return (.status("OK"), [])
    case "DISCARD" where queue != nil:
      queue = nil
      return (.status("OK"), [])
    case "EXEC" where queue != nil:
      return execute(facts, listeners)
    default:
      if queue != nil { return (enqueue(command, words[0]), []) }
      let answer = single(command, words, facts, listeners)
      return (answer.reply, answer.effect.map { [$0] } ?? [])
    }
  }

  // MARK: Transactions

  private mutating func enqueue(_ command: [[UInt8]], _ name: String) -> RESPReply {
    guard name != "MULTI" else { return .error("ERR MULTI calls can not be nested") }
    let queued = queue ?? []
    let bytes = (queued + [command]).reduce(0) { $0 + $1.reduce(0) { $0 + $1.count } }
    guard queued.count < ResponderSession.queuedMax, bytes <= ResponderSession.queuedBytesMax else {
      isQueueBroken = true
      return .error("ERR too many commands in one transaction")
    }
    queue = queued + [command]
    return .status("QUEUED")
  }

  private mutating func execute(
    _ facts: ResponderFacts, _ listeners: ([UInt8]) -> Int
  ) -> (reply: RESPReply, effects: [Effect]) {
    let commands = queue ?? []
    queue = nil
    if isQueueBroken {
      return (.error("EXECABORT Transaction discarded because of previous errors."), [])
    }
    var replies: [RESPReply] = []
    var effects: [Effect] = []
    for command in commands {
      let answer = self.answer(command, facts: facts, listeners: listeners)
      replies.append(answer.reply)
      effects += answer.effects
    }
    return (.array(replies), effects)
  }

  // MARK: Single commands

  private typealias Single = (reply: RESPReply, effect: Effect?)

  private mutating func single(
    _ command: [[UInt8]], _ words: [String], _ facts: ResponderFacts,
    _ listeners: ([UInt8]) -> Int
  ) -> Single {
    switch words[0] {
    case "PING":
      if command.count > 1 { return (.bulk(command[1]), nil) }
      let isListening = !channels.isEmpty
      return (isListening ? .array([.bulk(Array("pong".utf8)), .bulk([])]) : .status("PONG"), nil)
    case "REPLCONF": return (.status("OK"), nil)
    case "PSYNC", "SYNC":
      return (.error("ERR this is a backup, which has no data to replicate"), nil)
    case "AUTH": return authenticate(command)
    case "QUIT": return (.status("OK"), .close)
    case "CLIENT" where words.count > 1 && ["SETNAME", "SETINFO"].contains(words[1]):
      return (.status("OK"), nil)
    default: break
    }
    guard isAuthenticated else { return (.error("NOAUTH Authentication required."), nil) }
    switch words[0] {
    case "INFO": return (.bulk(Array(info(facts).utf8)), nil)
    case "ROLE": return (role(facts), nil)
    case "SLAVEOF", "REPLICAOF": return follow(command, words)
    case "CLIENT" where words.count > 1 && words[1] == "KILL": return (.integer(0), nil)
    case "CONFIG" where words.count == 2 && words[1] == "REWRITE": return (.status("OK"), nil)
    case "SUBSCRIBE" where command.count == 2: return subscribe(command[1])
    case "UNSUBSCRIBE": return unsubscribe()
    case "PUBLISH" where command.count == 3:
      return (
        .integer(Int64(listeners(command[1]))), .publish(channel: command[1], message: command[2])
      )
    default: return (.error("ERR unknown command, or wrong arguments: this is a backup"), nil)
    }
  }

  private mutating func authenticate(_ command: [[UInt8]]) -> Single {
    guard command.count == 2 || command.count == 3 else {
      return (.error("ERR wrong number of arguments for 'auth' command"), nil)
    }
    if let credentials {
      let user = credentials.user ?? "default"
      let given = command.count == 3 ? command[1] : Array("default".utf8)
      isAuthenticated =
        isSame(given, Array(user.utf8))
        && isSame(command[command.count - 1], Array(credentials.password.reveal().utf8))
    }
    return (.status("OK"), nil)
  }

  /// Compares in constant time, so that the time does not show how many bytes are right.
  private func isSame(_ given: [UInt8], _ right: [UInt8]) -> Bool {
    var difference: UInt8 = given.count == right.count ? 0 : 1
    for (index, byte) in given.enumerated() {
      difference |= byte ^ (right.isEmpty ? 0 : right[index % right.count])
    }
    return difference == 0
  }

  private func follow(_ command: [[UInt8]], _ words: [String]) -> Single {
    guard command.count == 3 else {
      return (.error("ERR wrong number of arguments for 'replicaof' command"), nil)
    }
    if words[1] == "NO", words[2] == "ONE" {
      return (.error("ERR this is a backup, which can't be promoted"), nil)
    }
    guard let port = Int(String(decoding: command[2], as: UTF8.self)),
      let address = LinkAddress(host: String(decoding: command[1], as: UTF8.self), port: port)
    else { return (.error("ERR Invalid master host or port"), nil) }
    return (.status("OK"), .follow(address))
  }

  private mutating func subscribe(_ channel: [UInt8]) -> Single {
    if !channels.contains(channel) {
      guard channels.count < ResponderSession.channelsMax else {
        return (.error("ERR too many channels"), nil)
      }
      channels.append(channel)
    }
    let reply: [RESPReply] = [
      .bulk(Array("subscribe".utf8)), .bulk(channel), .integer(Int64(channels.count)),
    ]
    return (.array(reply), .subscribe(channel))
  }

  /// Unsubscribes from all channels at once: the clients of this port never unsubscribe from a single one.
  private mutating func unsubscribe() -> Single {
    channels = []
    return (.array([.bulk(Array("unsubscribe".utf8)), .null, .integer(0)]), .unsubscribe)
  }

  // MARK: What is said

  /// The fields that a Sentinel reads (`sentinelRefreshInstanceInfo`), named as servers name them.
  private func info(_ facts: ResponderFacts) -> String {
    var lines = [
      "# Server", "redis_mode:standalone", "run_id:\(facts.runID)", "", "# Replication",
      "role:slave",
    ]
    if let upstream = facts.upstream {
      lines += ["master_host:\(upstream.host)", "master_port:\(upstream.port)"]
    }
    lines += [
      "master_link_status:\(facts.isLinkUp ? "up" : "down")", "master_last_io_seconds_ago:0",
      "master_sync_in_progress:0", "slave_read_repl_offset:\(facts.offset)",
      "slave_repl_offset:\(facts.offset)",
    ]
    if !facts.isLinkUp { lines.append("master_link_down_since_seconds:1") }
    lines += [
      "slave_priority:0", "slave_read_only:1", "replica_announced:0", "connected_slaves:0",
      "master_repl_offset:\(facts.offset)", "",
    ]
    return lines.joined(separator: "\r\n")
  }

  private func role(_ facts: ResponderFacts) -> RESPReply {
    let state = facts.isLinkUp ? "connected" : "connect"
    return .array([
      .bulk(Array("slave".utf8)), .bulk(Array((facts.upstream?.host ?? "").utf8)),
      .integer(Int64(facts.upstream?.port ?? 0)), .bulk(Array(state.utf8)),
      .integer(Int64(clamping: facts.offset)),
    ])
  }
}
