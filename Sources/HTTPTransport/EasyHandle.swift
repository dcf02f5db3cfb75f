import BackupTypes
import CCurl
import SystemPackage

/// One libcurl easy handle with the connections it keeps alive.
///
/// `@unchecked Sendable`: used by one thread at a time; `HTTPClient` upholds that by taking a
/// handle out of its list before use and putting it back after.
final class EasyHandle: @unchecked Sendable {
  /// Only the store, a token service and a metadata service are contacted.
  private static let connectionsMax = 4
  /// Two of these are held while a handle transfers. Larger ones gained nothing on loopback.
  private static let bufferBytes = 128 << 10

  /// Runs once in a process, before the first handle; see curl_global_init(3).
  static let globalStart = ccurl_global_start()

  private let handle: OpaquePointer
  private let errorText: UnsafeMutablePointer<CChar>
  let sockets = SocketTable()

  init() throws(LifeboatError) {
    guard EasyHandle.globalStart == 0, let handle = ccurl_new() else {
      throw LifeboatError(.failure, "can't start libcurl")
    }
    self.handle = handle
    errorText = .allocate(capacity: Int(CCURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CCURL_ERROR_SIZE))
  }

  deinit {
    // Closes the kept connections through `sockets`, which lives until this object is gone.
    ccurl_free(handle)
    errorText.deallocate()
  }

  struct Outcome {
    var code: ccurl_code
    /// libcurl's words about this failure; empty when it has none.
    var detail: String
    var status: Int
  }

  /// Performs a request and blocks until it has ended.
  func perform(
    _ request: HTTPRequest, limits: HTTPLimits, trust: TrustStore, userAgent: String,
    transfer: Transfer
  ) -> Outcome {
    ccurl_reset(handle)
    errorText[0] = 0
    let fields = headerList(request)
    defer { ccurl_free_list(fields) }
    return withExtendedLifetime((transfer, sockets)) {
      request.body.withUnsafeBytes { body in
        setConnection(request, limits: limits, trust: trust)
        setRequest(request, body: body, fields: fields, userAgent: userAgent)
        setCallbacks(transfer)
        let code = ccurl_perform(handle)
        let status = ccurl_status(handle)
        // Pointers into this call's memory must not outlive it.
        ccurl_reset(handle)
        return Outcome(code: code, detail: String(cString: errorText), status: status)
      }
    }
  }

  private func setConnection(_ request: HTTPRequest, limits: HTTPLimits, trust: TrustStore) {
    set(CCURLOPT_NOSIGNAL, 1)
    set(CCURLOPT_PROTOCOLS_STR, "http,https")
    set(CCURLOPT_FOLLOWLOCATION, 0)
    set(CCURLOPT_HTTP_VERSION, Int(CCURL_HTTP_VERSION_2TLS))
    set(CCURLOPT_CONNECTTIMEOUT_MS, max(1, Int(limits.connect.milliseconds)))
    set(CCURLOPT_TCP_KEEPALIVE, 1)
    set(CCURLOPT_MAXCONNECTS, EasyHandle.connectionsMax)
    set(CCURLOPT_BUFFERSIZE, EasyHandle.bufferBytes)
    set(CCURLOPT_UPLOAD_BUFFERSIZE, EasyHandle.bufferBytes)
    set(CCURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    if request.route == .direct { set(CCURLOPT_NOPROXY, "*") }
    // These are the defaults. They are set explicitly, so that nothing turns them off.
    set(CCURLOPT_SSL_VERIFYPEER, 1)
    set(CCURLOPT_SSL_VERIFYHOST, 2)
    // The file alone: a compiled-in directory would add authorities that nobody configured.
    for option in [CCURLOPT_CAINFO, CCURLOPT_PROXY_CAINFO] { set(option, trust.file) }
    for option in [CCURLOPT_CAPATH, CCURLOPT_PROXY_CAPATH] { set(option, nil) }
  }

  private func setRequest(
    _ request: HTTPRequest, body: UnsafeRawBufferPointer,
    fields: OpaquePointer?, userAgent: String
  ) {
    set(CCURLOPT_URL, request.url)
    set(CCURLOPT_PATH_AS_IS, 1)
    set(CCURLOPT_USERAGENT, userAgent)
    switch request.method {
    case .get: set(CCURLOPT_HTTPGET, 1)
    case .head: set(CCURLOPT_NOBODY, 1)
    case .delete:
      set(CCURLOPT_HTTPGET, 1)
      set(CCURLOPT_CUSTOMREQUEST, "DELETE")
    case .post, .put:
      // As fields of a POST the body stays where it is and is sent again by libcurl itself when a
      // kept-alive connection turns out dead; Content-Length is always sent, 0 included.
      set(CCURLOPT_POST, 1)
      set(CCURLOPT_CUSTOMREQUEST, request.method.rawValue)
      _ = ccurl_set_offset(handle, CCURLOPT_POSTFIELDSIZE_LARGE, Int64(body.count))
      let empty = UnsafeRawPointer(errorText)  // Any address: with a size of 0 none is read.
      _ = ccurl_set_pointer(handle, CCURLOPT_POSTFIELDS, body.baseAddress ?? empty)
    }
    _ = ccurl_set_list(handle, CCURLOPT_HTTPHEADER, fields)
  }

  private func setCallbacks(_ transfer: Transfer) {
    let context = Unmanaged.passUnretained(transfer).toOpaque()
    let table = Unmanaged.passUnretained(sockets).toOpaque()
    _ = ccurl_set_pointer(handle, CCURLOPT_ERRORBUFFER, errorText)
    _ = ccurl_set_pointer(handle, CCURLOPT_OPENSOCKETDATA, table)
    _ = ccurl_set_open_callback(handle) { context, _, address in
      Unmanaged<SocketTable>.fromOpaque(context!).takeUnretainedValue().open(address)
    }
    _ = ccurl_set_pointer(handle, CCURLOPT_CLOSESOCKETDATA, table)
    _ = ccurl_set_close_callback(handle) { context, socket in
      Unmanaged<SocketTable>.fromOpaque(context!).takeUnretainedValue().close(socket)
    }
    _ = ccurl_set_pointer(handle, CCURLOPT_PREREQDATA, context)
    _ = ccurl_set_ready_callback(handle) { context, _, _, _, _ in
      Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue().connected()
        ? 0 : 1
    }
    set(CCURLOPT_NOPROGRESS, 0)
    _ = ccurl_set_pointer(handle, CCURLOPT_XFERINFODATA, context)
    _ = ccurl_set_progress_callback(handle) { context, _, _, _, sent in
      Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue().progress(sent: Int64(sent))
        ? 0 : 1
    }
    _ = ccurl_set_pointer(handle, CCURLOPT_HEADERDATA, context)
    _ = ccurl_set_data_callback(handle, CCURLOPT_HEADERFUNCTION) { data, size, count, context in
      let bytes = UnsafeRawBufferPointer(start: data, count: size * count)
      return Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue().header(bytes)
        ? bytes.count : 0
    }
    _ = ccurl_set_pointer(handle, CCURLOPT_WRITEDATA, context)
    _ = ccurl_set_data_callback(handle, CCURLOPT_WRITEFUNCTION) { data, size, count, context in
      let bytes = UnsafeRawBufferPointer(start: data, count: size * count)
      return Unmanaged<Transfer>.fromOpaque(context!).takeUnretainedValue().receive(bytes)
        ? bytes.count : 0
    }
  }

  /// The fields to send, with those removed that libcurl would add by itself: `Expect` would cost a
  /// round trip for every upload, and the type of a form is not ours.
  private func headerList(_ request: HTTPRequest) -> OpaquePointer? {
    var list: OpaquePointer?
    for field in request.headers.fields {
      // An empty value has a form of its own: without it libcurl removes the field.
      let line = field.value.isEmpty ? field.name + ";" : field.name + ": " + field.value
      list = ccurl_append(list, line)
    }
    list = ccurl_append(list, "Expect:")
    if request.headers["Content-Type"] == nil { list = ccurl_append(list, "Content-Type:") }
    return list
  }

  // A known option of the right type is refused only if memory is short; the request then fails.
  private func set(_ option: ccurl_option, _ value: Int) {
    _ = ccurl_set_long(handle, option, value)
  }
  private func set(_ option: ccurl_option, _ value: String?) {
    _ = ccurl_set_text(handle, option, value)
  }
}
