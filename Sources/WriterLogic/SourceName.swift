/// The name that a shipper has for its Redis, and which names in claims stand for the same Redis.
///
/// `--source` is a name, compared as it is. Without it the name is `<host>:<data directory>`, and only the
/// directory is compared, because a container gets a new host name each time. Release 0.1.0 wrote the
/// directory as given, relative or not, and compares the whole text.
package struct SourceName: Sendable, Equatable {
  /// The source in a new claim.
  package var text: String
  /// The absolute path of the data directory; nil if `--source` was given.
  package var path: String?
  /// The name that release 0.1.0 makes from the same command line; nil if `--source` was given.
  private var former: String?

  package init(given: String) { text = given }

  /// - Parameter workingDirectory: the directory that a relative `data` refers to. Nil if it is unknown; a
  ///   relative path then stays as it is.
  package init(host: String, data: String, workingDirectory: String?) {
    let absolute = SourceName.absolute(data, workingDirectory)
    path = absolute
    former = "\(host):\(data)"
    // An absolute path as it was given, so that release 0.1.0 recognises the claim as its own.
    text = "\(host):\(data.hasPrefix("/") ? data : absolute)"
  }

  /// Whether a claim's source is this Redis.
  ///
  /// - Parameter isSameDirectory: whether the claim was made from this very directory, by its identity.
  ///   That shows where a relative path led to.
  package func isSame(as claimed: String, isSameDirectory: Bool) -> Bool {
    if claimed == text || claimed == former { return true }
    guard let path, let theirs = SourceName.path(in: claimed) else { return false }
    if theirs.hasPrefix("/") { return SourceName.absolute(theirs, nil) == path }
    let end = SourceName.components(theirs)
    return isSameDirectory && SourceName.components(path).suffix(end.count) == end[...]
  }

  /// The source in a claim that follows another of this Redis. If release 0.1.0 wrote that one with the
  /// same command line, its form is kept, so that a rollback continues, too.
  package func text(after claimed: String?) -> String {
    claimed == former ? former ?? text : text
  }

  /// The part after the host name.
  private static func path(in source: String) -> String? {
    guard !source.hasPrefix("/") else { return source }
    guard let colon = source.firstIndex(of: ":") else { return nil }
    return String(source[source.index(after: colon)...])
  }

  private static func absolute(_ path: String, _ workingDirectory: String?) -> String {
    let isAbsolute = path.hasPrefix("/")
    guard isAbsolute || workingDirectory != nil else { return path }
    let whole = isAbsolute ? path : (workingDirectory ?? "") + "/" + path
    return "/" + components(whole).joined(separator: "/")
  }

  /// Path components without `.`; `..` removes the name before it.
  private static func components(_ path: String) -> [Substring] {
    path.split(separator: "/").reduce(into: []) { names, name in
      switch name {
      case ".": break
      case "..": _ = names.popLast()
      default: names.append(name)
      }
    }
  }
}
