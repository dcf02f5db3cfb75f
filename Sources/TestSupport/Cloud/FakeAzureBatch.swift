/// The multipart bodies of Blob Batch.
enum AzureBatch {
  /// nil if the body is not one.
  static func requests(
    _ body: [UInt8], boundary: String, host: String
  ) -> [(id: String, request: LoopbackRequest)]? {
    let text = String(decoding: body, as: UTF8.self).replacing("\r\n", with: "\n")
    var pieces = text.components(separatedBy: "--" + boundary)
    guard pieces.count > 2, pieces.removeLast().hasPrefix("--") else { return nil }
    var requests: [(id: String, request: LoopbackRequest)] = []
    for piece in pieces.dropFirst() {
      let halves = piece.components(separatedBy: "\n\n")
      guard halves.count >= 2 else { return nil }
      let id = headers(halves[0].split(separator: "\n")).first {
        $0.name.lowercased() == "content-id"
      }
      let lines = halves[1].split(separator: "\n")
      let words = lines.first?.split(separator: " ") ?? []
      guard words.count >= 2 else { return nil }
      var fields = headers(lines.dropFirst())
      if !fields.contains(where: { $0.name.lowercased() == "host" }) {
        fields.append(("Host", host))
      }
      requests.append(
        (
          id?.value ?? "\(requests.count)",
          LoopbackRequest(
            method: String(words[0]), target: String(words[1]), headers: fields, body: [])
        ))
    }
    return requests
  }

  private static func headers(_ lines: some Sequence<Substring>) -> [(name: String, value: String)]
  {
    lines.compactMap { line in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      return (
        String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " })
      )
    }
  }

  static func reply(_ replies: [(id: String, reply: LoopbackReply)]) -> LoopbackReply {
    var body = ""
    for (id, reply) in replies {
      body += "--batchresponse_0\r\nContent-Type: application/http\r\nContent-ID: \(id)\r\n\r\n"
      body += "HTTP/1.1 \(reply.status) Status\r\n"
      for (name, value) in reply.headers { body += "\(name): \(value)\r\n" }
      let text = String(decoding: reply.body, as: UTF8.self)
      body += "Content-Length: \(reply.body.count)\r\n\r\n\(text)\r\n"
    }
    body += "--batchresponse_0--\r\n"
    return LoopbackReply(
      202, headers: [("Content-Type", "multipart/mixed; boundary=batchresponse_0")], text: body)
  }
}

extension String {
  fileprivate func components(separatedBy text: String) -> [String] {
    var parts: [String] = []
    var rest = self[...]
    while let found = rest.firstRange(of: text) {
      parts.append(String(rest[..<found.lowerBound]))
      rest = rest[found.upperBound...]
    }
    return parts + [String(rest)]
  }
}
