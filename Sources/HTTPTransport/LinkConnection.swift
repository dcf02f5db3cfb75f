package import BackupTypes
import CCurl
import SystemIO

/// A TCP or TLS connection for bytes of any protocol, made by libcurl: it resolves the name, tries the
/// addresses of both families, and performs the TLS handshake. The server's certificate is always checked.
///
/// All calls except `wake` block, at most for the given time. Make them on a dedicated thread.
///
/// `@unchecked Sendable`: one thread at a time uses it; any thread may call `wake`. The owner upholds that.
package final class LinkConnection: @unchecked Sendable {
  package enum Received: Sendable, Equatable {
    /// At least one, at the front of the buffer.
    case bytes(Int)
    /// The time is over, or `wake` was called.
    case nothing
    /// The other side will send no more.
    case closed
  }

  /// A link is idle for up to ten seconds between two PINGs of a primary. A peer that vanished is noticed
  /// 30 + 9 * 10 s later even if nobody waits for its bytes.
  private static let keepAliveIdleSeconds = 30
  private static let keepAliveIntervalSeconds = 10

  package let address: LinkAddress
  package let isTLS: Bool
  private let handle: OpaquePointer
  private let errorText: UnsafeMutablePointer<CChar>
  private let sockets = SocketTable()
  private let waiting: SocketWait
  private var isOpen = false

  /// Connects.
  ///
  /// - Parameters:
  ///   - tls: nil for a connection without TLS.
  ///   - timeoutMilliseconds: for name, TCP and TLS together; at least 1.
  package init(
    to address: LinkAddress, tls: LinkTLS?, timeoutMilliseconds: Int
  ) throws(LifeboatError) {
    precondition(timeoutMilliseconds >= 1, "a timeout of \(timeoutMilliseconds) ms")
    self.address = address
    isTLS = tls != nil
    if let tls { try tls.check() }
    waiting = try SocketWait()
    guard EasyHandle.globalStart == 0, let handle = ccurl_new() else {
      throw LifeboatError(.failure, "can't start libcurl")
    }
    self.handle = handle
    errorText = .allocate(capacity: Int(CCURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CCURL_ERROR_SIZE))
    // From here on a thrown error runs deinit, which frees both.
    setOptions(tls, timeoutMilliseconds: timeoutMilliseconds)
    let code = ccurl_perform(handle)
    guard code == CCURLE_OK else {
      throw LinkFailure(
        address: address, tls: tls, code: code, detail: String(cString: errorText),
        connectError: ccurl_connect_errno(handle), limitMilliseconds: timeoutMilliseconds
      ).error
    }
    isOpen = true
  }

  deinit {
    ccurl_free(handle)
    errorText.deallocate()
  }

  /// Sends all of the bytes.
  ///
  /// - Throws: a retryable error if the connection broke, or if the bytes were not taken in time. Some of
  ///   them may have been sent, so the connection can't be used any more.
  package func send(
    _ bytes: [UInt8], timeoutMilliseconds: Int
  ) throws(LifeboatError) {
    let deadline = SystemClock.monotonicMilliseconds() + Int64(timeoutMilliseconds)
    var sent = 0
    while sent < bytes.count {
      try requireOpen()
      var count = 0
      errorText[0] = 0
      let code = bytes.withUnsafeBytes {
        ccurl_send(handle, $0.baseAddress! + sent, $0.count - sent, &count)
      }
      sent += count
      if code == CCURLE_OK { continue }
      guard code == CCURLE_AGAIN else { throw broke(reason(behind: code)) }
      let left = deadline - SystemClock.monotonicMilliseconds()
      guard left > 0 else {
        isOpen = false
        throw LinkFailure.stalled(address, afterMilliseconds: Int64(timeoutMilliseconds))
      }
      _ = try waiting.wait(
        for: .writable, of: ccurl_socket(handle), milliseconds: Int32(clamping: left),
        canBeWoken: false)
    }
  }

  /// Receives what is there, or waits for it.
  ///
  /// - Parameter buffer: not empty.
  /// - Throws: a retryable error if the connection broke.
  package func receive(
    into buffer: UnsafeMutableRawBufferPointer, waitingMilliseconds: Int32
  ) throws(LifeboatError) -> Received {
    let deadline = SystemClock.monotonicMilliseconds() + Int64(waitingMilliseconds)
    while isOpen {
      // Before any wait: bytes that TLS has decrypted already do not make the socket readable.
      var count = 0
      errorText[0] = 0
      let code = ccurl_receive(handle, buffer.baseAddress!, buffer.count, &count)
      if code == CCURLE_OK, count > 0 { return .bytes(count) }
      if code == CCURLE_OK || code == CCURLE_GOT_NOTHING { break }
      guard code == CCURLE_AGAIN else { throw broke(code) }
      let left = max(0, deadline - SystemClock.monotonicMilliseconds())
      let outcome = try waiting.wait(
        for: .readable, of: ccurl_socket(handle), milliseconds: Int32(clamping: left),
        canBeWoken: true)
      if outcome != .ready { return .nothing }
    }
    isOpen = false
    return .closed
  }

  /// Ends the `receive` that waits now, or the next one that would. From any thread.
  package func wake() { waiting.wake() }

  /// Ends the connection now, from the thread that uses it. Afterwards `send` throws, and `receive` says
  /// `.closed`.
  package func close() {
    isOpen = false
    sockets.cancel()
  }

  private func requireOpen() throws(LifeboatError) {
    guard isOpen else {
      throw LinkFailure.lost(address, cause: "it was closed before all bytes were sent")
    }
  }

  /// Why bytes could not be sent. A server that ends a connection over TLS says why, in an alert among the
  /// received bytes; the failed call only knows that the bytes were not accepted.
  private func reason(behind code: ccurl_code) -> ccurl_code {
    guard isTLS else { return code }
    let words = String(cString: errorText)
    errorText[0] = 0
    var count = 0
    let second = withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) {
      ccurl_receive(handle, $0.baseAddress!, $0.count, &count)
    }
    if second == CCURLE_RECV_ERROR, errorText[0] != 0 { return second }
    for (index, byte) in words.utf8.prefix(Int(CCURL_ERROR_SIZE) - 1).enumerated() {
      errorText[index] = CChar(bitPattern: byte)
      errorText[index + 1] = 0
    }
    return code
  }

  private func broke(_ code: ccurl_code) -> LifeboatError {
    isOpen = false
    return LinkFailure(
      address: address, tls: nil, code: code, detail: String(cString: errorText),
      connectError: 0, limitMilliseconds: 0
    ).error
  }

  // MARK: Options

  private func setOptions(_ tls: LinkTLS?, timeoutMilliseconds: Int) {
    let host = address.isBracketed ? "[\(address.host)]" : address.host
    // The scheme only says whether to use TLS: no HTTP is sent.
    set(CCURLOPT_URL, "\(tls == nil ? "http" : "https")://\(host):\(address.port)")
    set(CCURLOPT_PROTOCOLS_STR, "http,https")
    set(CCURLOPT_CONNECT_ONLY, 1)
    set(CCURLOPT_NOPROXY, "*")
    set(CCURLOPT_NOSIGNAL, 1)
    set(CCURLOPT_CONNECTTIMEOUT_MS, timeoutMilliseconds)
    set(CCURLOPT_TCP_NODELAY, 1)
    set(CCURLOPT_TCP_KEEPALIVE, 1)
    set(CCURLOPT_TCP_KEEPIDLE, LinkConnection.keepAliveIdleSeconds)
    set(CCURLOPT_TCP_KEEPINTVL, LinkConnection.keepAliveIntervalSeconds)
    _ = ccurl_set_pointer(handle, CCURLOPT_ERRORBUFFER, errorText)
    // Sockets that child processes do not inherit.
    _ = ccurl_set_pointer(
      handle, CCURLOPT_OPENSOCKETDATA, Unmanaged.passUnretained(sockets).toOpaque())
    _ = ccurl_set_open_callback(handle) { context, _, address in
      Unmanaged<SocketTable>.fromOpaque(context!).takeUnretainedValue().open(address)
    }
    _ = ccurl_set_pointer(
      handle, CCURLOPT_CLOSESOCKETDATA, Unmanaged.passUnretained(sockets).toOpaque())
    _ = ccurl_set_close_callback(handle) { context, socket in
      Unmanaged<SocketTable>.fromOpaque(context!).takeUnretainedValue().close(socket)
    }
    guard let tls else { return }
    // These are the defaults. They are set explicitly, so that nothing turns them off.
    set(CCURLOPT_SSL_VERIFYPEER, 1)
    set(CCURLOPT_SSL_VERIFYHOST, 2)
    set(CCURLOPT_SSL_ENABLE_ALPN, 0)
    set(CCURLOPT_CAINFO, tls.trust.file)
    set(CCURLOPT_CAPATH, nil)
    set(CCURLOPT_SSLCERT, tls.certificate)
    set(CCURLOPT_SSLKEY, tls.key)
    // OpenSSL would ask a terminal for the passphrase of an encrypted key.
    set(CCURLOPT_KEYPASSWD, "")
  }

  // A known option of the right type is refused only if memory is short; connecting then fails.
  private func set(_ option: ccurl_option, _ value: Int) {
    _ = ccurl_set_long(handle, option, value)
  }
  private func set(_ option: ccurl_option, _ value: String?) {
    _ = ccurl_set_text(handle, option, value)
  }
}
