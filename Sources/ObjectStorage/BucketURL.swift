package import BackupTypes

/// `scheme://bucket/prefix?option=value&…`, parsed and checked. All stores in buckets use it.
package struct BucketURL: Sendable {
  package let bucket: String
  /// Without "/" at either end; may be empty.
  package let prefix: String
  private let items: [String: String]
  private let problem: Problem

  /// - Parameters:
  ///   - scheme: `s3`.
  ///   - options: the allowed names after the "?", in the order in which messages list them.
  /// - Throws: `.usage` with the problem.
  package init(_ url: String, scheme: String, options: [String]) throws(LifeboatError) {
    problem = Problem(url: url, scheme: scheme, options: options)
    if let cause = strayWhiteSpace(in: url, path: "") { throw problem(cause) }
    let start = scheme + "://"
    guard url.lowercased().hasPrefix(start) else {
      throw problem("it does not begin with \(start)")
    }
    guard !url.contains("#") else { throw problem("a \"#\" must be written as %23") }
    let parts = url.dropFirst(start.count).split(
      separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    bucket = String(path[0])
    guard !bucket.contains("@") else {
      throw problem("credentials are not allowed in the URL: use the environment, files or roles")
    }
    guard BucketURL.isBucket(bucket) else { throw problem("it has no valid bucket name") }
    guard let decoded = percentDecoded(path.count > 1 ? String(path[1]) : "") else {
      throw problem("the percent-encoding is invalid")
    }
    if let cause = strayWhiteSpace(in: url, path: decoded) { throw problem(cause) }
    prefix = BucketURL.trimmed(decoded)
    if !prefix.isEmpty, (try? ObjectName.components(prefix)) == nil {
      throw problem("the prefix is not a valid path")
    }
    items = try BucketURL.items(parts.count > 1 ? parts[1] : "", options, problem)
  }

  /// The value of an option; nil if it is not given.
  package subscript(option: String) -> String? { items[option] }

  package func flag(_ name: String) throws(LifeboatError) -> Bool? {
    switch items[name] {
    case nil: nil
    case "true": true
    case "false": false
    default: throw problem("\(name) must be true or false")
    }
  }

  /// `https://host:port/path` without a "/" at its end; nil if it is not given.
  package func endpoint() throws(LifeboatError) -> String? {
    try items["endpoint"].map { value throws(LifeboatError) in
      try BucketURL.endpoint(value, problem)
    }
  }

  /// The error for a problem with this URL.
  package func error(_ cause: String) -> LifeboatError { problem(cause) }

  /// Checks an endpoint that was set elsewhere, for a store of `scheme` with `options`.
  package static func endpoint(
    _ text: String, scheme: String, options: [String]
  ) throws(LifeboatError) -> String {
    try endpoint(text, Problem(url: text, scheme: scheme, options: options))
  }

  private static func items(
    _ query: Substring, _ options: [String], _ problem: Problem
  ) throws(LifeboatError) -> [String: String] {
    var items: [String: String] = [:]
    for item in query.split(separator: "&") {
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = percentDecoded(String(pair[0])),
        let value = percentDecoded(pair.count > 1 ? String(pair[1]) : "")
      else { throw problem("the percent-encoding is invalid") }
      guard options.contains(name) else {
        let isPlain =
          name.utf8.count <= 24 && name.utf8.allSatisfy { (97...122).contains($0) || $0 == 45 }
        throw problem(isPlain ? "the option \(name) is unknown" : "an option is unknown")
      }
      guard !value.isEmpty else { throw problem("the option \(name) has no value") }
      guard items.updateValue(value, forKey: name) == nil else {
        throw problem("the option \(name) is given twice")
      }
    }
    return items
  }

  private static func endpoint(
    _ text: String, _ problem: Problem
  ) throws(LifeboatError) -> String {
    let lower = text.lowercased()
    guard lower.hasPrefix("https://") || lower.hasPrefix("http://") else {
      throw problem("an endpoint must begin with https:// (or http://, which is not encrypted)")
    }
    let rest = text.drop { $0 != "/" }.dropFirst(2)
    guard let first = rest.first, first != "/", !rest.contains(where: { "?#@ ".contains($0) }),
      rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
    else { throw problem("an endpoint must be https://host, with an optional port and path") }
    var trimmed = text
    while trimmed.hasSuffix("/") { trimmed.removeLast() }
    return trimmed
  }

  /// Allows more than the vendors' rules (3 to 63 of a-z, 0-9, "." and "-"; Google has "_", too), since other
  /// stores do, but only what can be part of a host name or a path.
  private static func isBucket(_ text: String) -> Bool {
    (1...255).contains(text.utf8.count) && text != "." && text != ".."
      && text.utf8.allSatisfy {
        (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0)
          || ".-_".utf8.contains($0)
      }
  }

  private static func trimmed(_ path: String) -> String {
    var path = path[...]
    while path.hasPrefix("/") { path.removeFirst() }
    while path.hasSuffix("/") { path.removeLast() }
    return String(path)
  }

  private struct Problem: Sendable {
    let url: String
    let scheme: String
    let options: [String]

    func callAsFunction(_ cause: String) -> LifeboatError {
      LifeboatError(
        .usage, "can't use the repository \"\(shown(url: url, options: options))\"", cause: cause,
        hint: "the form is \(scheme)://bucket/prefix, with any of ?"
          + options.map { $0 + "=…" }.joined(separator: "&"))
    }
  }
}
