import BackupTypes
import CloudAuth
import FoundationEssentials
import HTTPTransport
import Synchronization

extension FakeAzureExchange {
  private struct Row {
    /// The name without the container.
    var name: String
    /// nil: a directory.
    var object: FakeAzureServer.Object?
    var isPrefix = false
  }

  /// List Blobs. Its markers begin with "+", so that nobody takes them for names.
  func list(_ container: String, _ setup: FakeAzureServer.Setup) -> LoopbackReply {
    let prefix = item("prefix") ?? ""
    let start = container + "/"
    let (objects, directories) = shared.state.withLock { ($0.objects, $0.directories) }
    if setup.isHierarchical {
      // Part of the prefix is the name of a file.
      for directory in HierarchicalNames.directories(above: start + prefix)
      where objects[directory] != nil {
        return FakeAzureServer.error(409, "ResourceTypeMismatch", "A file is in the way.")
      }
    }
    var rows = objects.filter { $0.key.hasPrefix(start) }
      .map { Row(name: String($0.key.dropFirst(start.count)), object: $0.value) }
    if setup.isHierarchical {
      rows += directories.filter { $0.hasPrefix(start) }
        .map { Row(name: String($0.dropFirst(start.count)), object: nil) }
    }
    rows = rows.filter { $0.name.utf8.starts(with: prefix.utf8) }
    if let delimiter = item("delimiter") { rows = folded(rows, after: prefix, delimiter) }
    rows.sort { a, b in
      setup.isHierarchical
        ? HierarchicalNames.precedes(a.name, b.name)
        : a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
    }
    return page(rows, setup)
  }

  private func folded(_ rows: [Row], after prefix: String, _ delimiter: String) -> [Row] {
    var result: [String: Row] = [:]
    for row in rows {
      let rest = row.name.dropFirst(prefix.count)
      if let found = rest.firstRange(of: delimiter) {
        let name = prefix + rest[..<found.upperBound]
        result[name] = Row(name: name, object: nil, isPrefix: true)
      } else if row.object == nil {
        // A directory is shown as its prefix, and not as a blob beside it.
        result[row.name + delimiter] = Row(name: row.name + delimiter, object: nil, isPrefix: true)
      } else {
        result[row.name] = row
      }
    }
    return Array(result.values)
  }

  private func page(_ rows: [Row], _ setup: FakeAzureServer.Setup) -> LoopbackReply {
    let limit = min(setup.pageMax, item("maxresults").flatMap { Int($0) } ?? 5000)
    // "+after:NAME" starts after that name. "+empty:NAME" was an empty page before the next one.
    let marker = item("marker") ?? ""
    let parts = marker.split(separator: ":", maxSplits: 1).map(String.init)
    let after = parts.count > 1 ? bytes(hexadecimal: parts[1]) ?? [] : []
    let rest = rows.drop { row in
      guard !after.isEmpty else { return false }
      let last = String(decoding: after, as: UTF8.self)
      return row.name == last
        || (setup.isHierarchical
          ? HierarchicalNames.precedes(row.name, last)
          : row.name.utf8.lexicographicallyPrecedes(last.utf8))
    }
    let isEmptyPage = setup.hasEmptyPages && marker.hasPrefix("+after")
    let shown = isEmptyPage ? [] : Array(rest.prefix(limit))
    var next = ""
    if isEmptyPage {
      next = "+empty:" + hexadecimal(after)
    } else if rest.count > limit, let last = shown.last {
      next = "+after:" + hexadecimal(last.name.utf8)
    }
    var text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>"
    text += "<EnumerationResults ServiceEndpoint=\"http://test/\" ContainerName=\"container\">"
    // Echoes the request. Some clients request the next page with these values.
    for (element, name) in [
      ("Prefix", "prefix"), ("Marker", "marker"), ("MaxResults", "maxresults"),
      ("Delimiter", "delimiter"),
    ] {
      if let value = item(name) {
        text += "<\(element)>\(FakeAzureServer.escaped(value))</\(element)>"
      }
    }
    text += "<Blobs>"
    for row in shown { text += entry(row) }
    text += "</Blobs><NextMarker>\(next)</NextMarker></EnumerationResults>"
    return LoopbackReply(200, headers: [("Content-Type", "application/xml")], text: text)
  }

  private func entry(_ row: Row) -> String {
    // Characters that XML can't represent.
    let isEncoded = row.name.unicodeScalars.contains {
      $0.value < 0x20 && !"\t".unicodeScalars.contains($0)
    }
    let name =
      isEncoded
      ? "<Name Encoded=\"true\">\(URIEncoding.encode(row.name))</Name>"
      : "<Name>\(FakeAzureServer.escaped(row.name))</Name>"
    if row.isPrefix { return "<BlobPrefix>\(name)</BlobPrefix>" }
    let created = row.object?.created ?? Instant(milliseconds: 1_795_000_000_000)
    return ""
      + "<Blob>\(name)<Properties><Creation-Time>\(created.httpDate)</Creation-Time><Last-Modified>\(created.httpDate)</Last-Modified><Etag>\(row.object?.tag ?? "0x1")</Etag>"
      + (row.object == nil
        ? "<ResourceType>directory</ResourceType><Content-Length>0</Content-Length>"
        : "<Content-Length>\(row.object?.bytes.count ?? 0)</Content-Length>")
      + "<Content-Type>application/octet-stream</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
  }
}

/// How a hierarchical namespace treats names.
enum HierarchicalNames {
  /// "a" and "a/b" for "a/b/c". The first component is the container and does not count.
  static func directories(above name: String) -> [String] {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    guard parts.count > 1 else { return [] }
    return (2...parts.count).map { parts.prefix($0).joined(separator: "/") }
  }

  /// Compares by components: "a/b" comes before "a-b".
  static func precedes(_ a: String, _ b: String) -> Bool {
    let (first, second) = (a.split(separator: "/"), b.split(separator: "/"))
    for (x, y) in zip(first, second) where x != y {
      return x.utf8.lexicographicallyPrecedes(y.utf8)
    }
    return first.count < second.count
  }
}
