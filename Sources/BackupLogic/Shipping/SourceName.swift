/// What a shipper calls its Redis, and which names in claims are the same one.
///
/// `--source` is a name, compared as it is. Without it the name is `<host>:<data directory>`, and the
/// directory alone decides: a container has another host name each time it is made. Release 0.1.0 wrote
/// the directory as it was given, relative or not, and compares the whole.
package struct SourceName: Sendable, Equatable {
  /// For a new claim.
  package var text: String
  /// The data directory from its root; nil when `--source` was given.
  package var path: String?
  /// What release 0.1.0 makes of the same command line; nil when `--source` was given.
  private var former: String?

  package init(given: String) { text = given }

  /// - Parameter workingDirectory: where a relative `data` begins; nil: not known, and such a path stays
  ///   as it is.
  package init(host: String, data: String, workingDirectory: String?) {
    let absolute = SourceName.absolute(data, workingDirectory)
    path = absolute
    former = "\(host):\(data)"
    // An absolute path as it was given: so release 0.1.0 knows the claim for its own.
    text = "\(host):\(data.hasPrefix("/") ? data : absolute)"
  }

  /// Whether a claim's source is this Redis.
  ///
  /// - Parameter isSameDirectory: whether the claim was made from this very directory, by its identity.
  ///   That tells where a relative path led to.
  package func isSame(as claimed: String, isSameDirectory: Bool) -> Bool {
    if claimed == text || claimed == former { return true }
    guard let path, let theirs = SourceName.path(in: claimed) else { return false }
    if theirs.hasPrefix("/") { return SourceName.absolute(theirs, nil) == path }
    let end = SourceName.components(theirs)
    return isSameDirectory && SourceName.components(path).suffix(end.count) == end[...]
  }

  /// For a claim behind another of this Redis. One of release 0.1.0 with the same command line is written
  /// as that release has it: so it goes on after a rollback, too.
  package func text(after claimed: String?) -> String {
    claimed == former ? former ?? text : text
  }

  /// The part behind the host's name.
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

  /// Without `.`; `..` takes the name before it away.
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
