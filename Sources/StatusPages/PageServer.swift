import BackupTypes
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import SystemIO

/// Serves small pages over HTTP/1.1, on one event loop that sleeps while there are no requests.
///
/// It is bounded: the number of connections is limited, each is closed when it is silent, and a request's
/// body is not read. A new connection replaces the one that was answered longest ago, so that nobody can
/// block a probe with idle connections.
package final class PageServer: Sendable {
  /// Answers at once. It runs on the event loop and must not block.
  package typealias Handler = @Sendable (PageRequest) -> Page

  static let connectionsMax = 64
  static let silenceMax = TimeAmount.seconds(75)

  /// The port that was given, or the one that the system chose for 0.
  package let port: Int
  private let group: MultiThreadedEventLoopGroup
  private let channel: any Channel

  /// Listens; throws `.failure` if the address is not available.
  package static func start(_ address: ListenAddress, _ handler: @escaping Handler) async throws
    -> PageServer
  {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      return PageServer(group, try await bind(address, group, handler))
    } catch {
      try? await group.shutdownGracefully()
      throw LifeboatError(
        .failure, "can't listen on \(address)", cause: words(error),
        hint: "free the port, or use another address")
    }
  }

  /// NIO's own description contains the name of one of its functions.
  private static func words(_ error: any Error) -> String? {
    (error as? IOError).map { systemWords(of: $0.errnoCode) }
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
    _ address: ListenAddress, _ group: MultiThreadedEventLoopGroup, _ handler: @escaping Handler
  ) async throws -> any Channel {
    let connections = Connections()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 16)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          connections.enter(channel)
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(
            IdleStateHandler(readTimeout: silenceMax, writeTimeout: silenceMax))
          try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
          try pipeline.addHandler(
            PageHandler({ request in
              connections.use(channel)
              return handler(request)
            }))
        }
      }
    if let host = address.host {
      return try await bootstrap.bind(host: host, port: address.port).get()
    }
    do {
      // Listens on IPv4 and IPv6, if there are both.
      return try await bootstrap.bind(host: "::", port: address.port).get()
    } catch {
      return try await bootstrap.bind(host: "0.0.0.0", port: address.port).get()
    }
  }
}

/// Open connections. Used only on the one event loop, but shared by type.
private final class Connections: Sendable {
  private struct State {
    var turn = 0
    var open: [ObjectIdentifier: (channel: any Channel, used: Int)] = [:]
  }
  private let state = NIOLockedValueBox(State())

  /// Counts a connection until it is closed. If there are too many, the one that was used longest ago makes
  /// room.
  func enter(_ channel: any Channel) {
    let id = ObjectIdentifier(channel)
    let over = state.withLockedValue { state -> (any Channel)? in
      state.turn += 1
      state.open[id] = (channel, state.turn)
      guard state.open.count > PageServer.connectionsMax,
        let oldest = state.open.min(by: { $0.value.used < $1.value.used })
      else { return nil }
      state.open[oldest.key] = nil
      return oldest.value.channel
    }
    over?.close(promise: nil)
    channel.closeFuture.whenComplete { _ in self.state.withLockedValue { $0.open[id] = nil } }
  }

  /// A complete request has arrived.
  func use(_ channel: any Channel) {
    state.withLockedValue { state in
      state.turn += 1
      let turn = state.turn
      state.open[ObjectIdentifier(channel)]?.used = turn
    }
  }
}

/// Answers the requests of one connection, one after another.
private final class PageHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let handler: PageServer.Handler
  private var head: HTTPRequestHead?

  init(_ handler: @escaping PageServer.Handler) { self.handler = handler }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end:
      guard let head else { return }
      self.head = nil
      answer(head, context)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    let path = String(head.uri.prefix { $0 != "?" && $0 != "#" })
    let origins = head.headers["Origin"]
    let page = handler(
      PageRequest(
        method: head.method.rawValue, path: path, host: head.headers.first(name: "Host"),
        origin: origins.isEmpty ? nil : origins.joined(separator: ", ")))
    var headers = HTTPHeaders([
      ("Content-Type", page.contentType), ("Content-Length", "\(page.body.count)"),
      ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
      ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
    ])
    if !head.isKeepAlive { headers.add(name: "Connection", value: "close") }
    let response = HTTPResponseHead(
      version: head.version, status: HTTPResponseStatus(statusCode: page.status), headers: headers)
    context.write(wrapOutboundOut(.head(response)), promise: nil)
    if head.method != .HEAD {
      let body = context.channel.allocator.buffer(bytes: page.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    }
    let end = context.writeAndFlush(wrapOutboundOut(.end(nil)))
    if !head.isKeepAlive {
      let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
      end.whenComplete { _ in bound.value.close(promise: nil) }
    }
  }
}
