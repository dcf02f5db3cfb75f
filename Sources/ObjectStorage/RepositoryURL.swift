package import BackupTypes
import SystemIO
import SystemPackage

/// The scheme of a `--repo` in lower case; nil for a path.
package func repositoryScheme(_ url: String) -> String? {
  url.firstRange(of: "://").map { url[..<$0.lowerBound].lowercased() }
}

/// Why a URL is probably a mistake: it, or a segment of its path, begins or ends with white space. A Secret
/// that was made with `echo` ends with a line feed, and so names another, empty prefix. Nil: no problem.
///
/// - Parameter path: decoded, if it may be encoded.
func strayWhiteSpace(in url: String, path: String) -> String? {
  let segments = [url[...]] + path.split(separator: "/")
  guard
    segments.contains(where: { $0.first?.isWhitespace == true || $0.last?.isWhitespace == true })
  else { return nil }
  return
    "it has white space at its end or around a part of its path; a Secret made with `echo` ends with "
    + "a line feed, one made with `printf %s` does not"
}

/// A URL as an error shows it: without user, password and values of options, since somebody may have put a
/// secret there.
func shown(url: String, options: [String] = []) -> String {
  let parts = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
  var text = String(parts[0])
  var scheme = ""
  if let separator = text.firstRange(of: "://") {
    scheme = String(text[..<separator.upperBound])
    text = String(text[separator.upperBound...])
  }
  if let at = text.lastIndex(of: "@") { text = "…" + text[at...] }
  let authority = text.prefix { $0 != "/" }
  if !scheme.isEmpty, let colon = authority.firstIndex(of: ":"),
    !authority[colon...].dropFirst().allSatisfy(\.isNumber)
  {
    text = "…" + text.dropFirst(authority.count)
  }
  let query = parts.count > 1 ? parts[1].split(separator: "&") : []
  let items = query.map { item in
    let name = String(item.prefix { $0 != "=" })
    return options.contains(name) ? name + "=…" : "…"
  }
  // The ellipsis for what is left out is not ASCII.
  return (scheme + text).split(separator: "…", omittingEmptySubsequences: false)
    .map { printable(String($0)) }.joined(separator: "…")
    + (items.isEmpty ? "" : "?" + items.joined(separator: "&"))
}

/// The directory that a `--repo` names: `file:///path`, or a path.
///
/// - Throws: `.usage` for anything else.
package func repositoryStore(url: String) throws(LifeboatError) -> any ObjectStore {
  func refuse(_ cause: String, hint: String? = nil) -> LifeboatError {
    LifeboatError(
      .usage, "can't use the repository \"\(shown(url: url))\"", cause: cause,
      hint: hint
        ?? "the form is s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///path or a"
        + " path")
  }
  if let problem = strayWhiteSpace(in: url, path: "") { throw refuse(problem) }
  var path = url
  if let separator = url.firstRange(of: "://") {
    let scheme = url[..<separator.lowerBound].lowercased()
    // Schemes that other tools use.
    guard !["abs", "azblob", "azure"].contains(scheme) else {
      throw refuse(
        "\(scheme):// is not supported",
        hint: "for Azure Blob Storage the form is az://container/prefix?account=NAME")
    }
    guard scheme == "file" else { throw refuse("\(printable(scheme)):// is not supported") }
    path = String(url[separator.upperBound...])
    guard path.hasPrefix("/") else {
      throw refuse("a file URL has three slashes: file:///path")
    }
    guard !path.contains(where: { $0 == "?" || $0 == "#" }) else {
      throw refuse("a directory has no options")
    }
    guard let decoded = percentDecoded(path) else {
      throw refuse("the percent-encoding is invalid")
    }
    path = decoded
  }
  if path == url,
    let scheme = ["s3", "gs", "az", "file"].first(where: {
      url.lowercased().hasPrefix($0 + ":") || url.lowercased().hasPrefix($0 + "//")
    })
  {
    throw refuse(
      "it begins like a URL, but not with \(scheme)://; for a directory of that name, pass ./…")
  }
  guard !path.isEmpty else { throw refuse("it is empty") }
  if let problem = strayWhiteSpace(in: url, path: path) { throw refuse(problem) }
  guard !path.utf8.contains(0) else { throw refuse("it contains a NUL byte") }
  return DirectoryStore(root: absolute(FilePath(path)))
}

/// A repository's printed location can be passed to a command, also from another directory.
private func absolute(_ path: FilePath) -> FilePath {
  guard path.isRelative, let start = HostFacts.workingDirectory() else { return path }
  return start.pushing(path)
}

/// Nil if a "%" is not followed by two digits, or the bytes are not UTF-8.
func percentDecoded(_ text: String) -> String? {
  guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
  var result: [UInt8] = []
  var rest = Array(text.utf8)[...]
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "%") else {
      result.append(byte)
      continue
    }
    let digits = String(decoding: rest.prefix(2), as: UTF8.self).lowercased()
    guard let value = bytes(hexadecimal: digits), value.count == 1 else { return nil }
    result += value
    rest = rest.dropFirst(2)
  }
  return String(validating: result, as: UTF8.self)
}
