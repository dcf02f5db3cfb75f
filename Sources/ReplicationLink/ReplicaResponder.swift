package import BackupTypes
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import RedisFormats
import SystemIO

/// Answers on the port that Lifeboat announces as a replica (`REPLCONF listening-port`), as a replica that
/// must never be promoted. `ResponderSession` decides the answers. Without the responder, a primary could
/// choose Lifeboat in a FAILOVER, and would then wait for it, read-only.
///
/// It is bounded: connections, the bytes of a command, replies that nobody reads, and silence. If there are
/// too many, a new connection replaces the one that has been unused for the longest time.
package final class ReplicaResponder: Sendable {
  /// Called on the event loop: they must return at once.
  package typealias Facts = @Sendable () -> ResponderFacts
  /// Somebody says that this is the primary now. It is only a hint: whoever can reach the port can say so,
  /// unless credentials are required.
  package typealias Hint = @Sendable (LinkAddress) -> Void

  /// Five Sentinels have two connections each, and a primary has one.
  static let connectionsMax = 16
  static let commandBytesMax = 16 << 10
  static let silenceMax = TimeAmount.seconds(120)

  /// The port that was given, or the one that the system chose for 0.
  package let port: Int
  private let group: MultiThreadedEventLoopGroup
  private let channel: any Channel

  /// Listens.
  ///
  /// - Parameters:
  ///   - host: nil for every address of this machine.
  ///   - credentials: the credentials that clients need to see what is replicated, and to give hints. Nil for
  ///     none.
  /// - Throws: `.failure` if the address is not available.
  package static func start(
    host: String?, port: Int, credentials: LinkCredentials?, facts: @escaping Facts,
    hint: @escaping Hint
  ) async throws -> ReplicaResponder {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let peers = ResponderPeers(connectionsMax: connectionsMax)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 16)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          peers.enter(channel)
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(IdleStateHandler(allTimeout: silenceMax))
          try pipeline.addHandler(
            ResponderHandler(
              ResponderSession(credentials: credentials), peers, facts: facts, hint: hint))
        }
      }
    do {
      return ReplicaResponder(group, try await bind(bootstrap, host: host, port: port))
    } catch {
      try? await group.shutdownGracefully()
      // NIO's own description contains the name of one of its functions.
      throw LifeboatError(
        .failure, "can't listen on port \(port) as a replica",
        cause: (error as? IOError).map { systemWords(of: $0.errnoCode) },
        hint: "free the port, or choose another one; 0 uses any free one")
    }
  }

  private init(_ group: MultiThreadedEventLoopGroup, _ channel: any Channel) {
    self.group = group
    self.channel = channel
    port = channel.localAddress?.port ?? 0
  }

  package func stop() async {
    try? await channel.close()
    try? await group.shutdownGracefully()
  }

  private static func bind(
    _ bootstrap: ServerBootstrap, host: String?, port: Int
  ) async throws -> any Channel {
    if let host { return try await bootstrap.bind(host: host, port: port).get() }
    do {
      // Listens on IPv4 and IPv6, if there are both.
      return try await bootstrap.bind(host: "::", port: port).get()
    } catch {
      return try await bootstrap.bind(host: "0.0.0.0", port: port).get()
    }
  }
}

/// The open connections. Used only on the one event loop, but shared by type.
private final class ResponderPeers: Sendable {
  private struct Peer {
    var channel: any Channel
    var used: Int
    var listensTo: [[UInt8]] = []
  }
  private struct State {
    var turn = 0
    var open: [ObjectIdentifier: Peer] = [:]
  }
  private let connectionsMax: Int
  private let state = NIOLockedValueBox(State())

  init(connectionsMax: Int) { self.connectionsMax = connectionsMax }

  /// Counts a connection until it is closed.
  func enter(_ channel: any Channel) {
    let id = ObjectIdentifier(channel)
    let over = state.withLockedValue { state -> (any Channel)? in
      state.turn += 1
      state.open[id] = Peer(channel: channel, used: state.turn)
      guard state.open.count > connectionsMax,
        let oldest = state.open.min(by: { $0.value.used < $1.value.used })
      else { return nil }
      state.open[oldest.key] = nil
      return oldest.value.channel
    }
    over?.close(promise: nil)
    channel.closeFuture.whenComplete { _ in self.state.withLockedValue { $0.open[id] = nil } }
  }

  /// A command came, or something was sent to a listener.
  func use(_ channel: any Channel) {
    state.withLockedValue { state in
      state.turn += 1
      let turn = state.turn
      state.open[ObjectIdentifier(channel)]?.used = turn
    }
  }

  func listen(_ channel: any Channel, to name: [UInt8]) {
    state.withLockedValue { state in
      let id = ObjectIdentifier(channel)
      guard state.open[id]?.listensTo.contains(name) == false else { return }
      state.open[id]?.listensTo.append(name)
    }
  }

  func stopListening(_ channel: any Channel) {
    state.withLockedValue { $0.open[ObjectIdentifier(channel)]?.listensTo = [] }
  }

  func listeners(of name: [UInt8]) -> [any Channel] {
    state.withLockedValue { state in
      state.open.values.filter { $0.listensTo.contains(name) }.map(\.channel)
    }
  }
}

/// One connection: commands in, replies out.
private final class ResponderHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var session: ResponderSession
  private var reader = RESPRequestReader(bytesMax: ReplicaResponder.commandBytesMax)
  private let peers: ResponderPeers
  private let facts: ReplicaResponder.Facts
  private let hint: ReplicaResponder.Hint
  private var isEnding = false

  init(
    _ session: ResponderSession, _ peers: ResponderPeers, facts: @escaping ReplicaResponder.Facts,
    hint: @escaping ReplicaResponder.Hint
  ) {
    self.session = session
    self.peers = peers
    self.facts = facts
    self.hint = hint
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    reader.append(unwrapInboundIn(data).readableBytesView)
    do {
      while !isEnding, let command = try reader.next() { answer(command, context) }
    } catch {
      send(.error("ERR Protocol error: this command is too long, or none"), context)
      end(context)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  private func answer(_ command: [[UInt8]], _ context: ChannelHandlerContext) {
    peers.use(context.channel)
    let (reply, effects) = session.answer(command, facts: facts()) { peers.listeners(of: $0).count }
    send(reply, context)
    for effect in effects {
      switch effect {
      case .close: end(context)
      case .subscribe(let name): peers.listen(context.channel, to: name)
      case .unsubscribe: peers.stopListening(context.channel)
      case .publish(let name, let message): publish(name, message)
      case .follow(let address): hint(address)
      }
    }
    // A client that does not read its replies is disconnected.
    if !context.channel.isWritable { end(context) }
  }

  private func publish(_ name: [UInt8], _ message: [UInt8]) {
    let news = RESPReply.array([.bulk(Array("message".utf8)), .bulk(name), .bulk(message)])
    for listener in peers.listeners(of: name) {
      guard listener.isWritable else {
        listener.close(promise: nil)
        continue
      }
      peers.use(listener)
      listener.writeAndFlush(listener.allocator.buffer(bytes: news.encoded), promise: nil)
    }
  }

  private func send(_ reply: RESPReply, _ context: ChannelHandlerContext) {
    let bytes = context.channel.allocator.buffer(bytes: reply.encoded)
    context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
  }

  /// Closes the connection after the bytes that were sent, or at once if the client does not read them.
  private func end(_ context: ChannelHandlerContext) {
    guard !isEnding else { return }
    isEnding = true
    context.close(promise: nil)
  }
}
