package import BackupTypes

extension ListPage {
  /// A page of a bucket's listing as a page of a repository's listing: names without the repository's prefix,
  /// and sorted, since some stores have another order.
  ///
  /// - Parameters:
  ///   - listed: entries with full keys as names.
  ///   - base: the repository's prefix in the bucket, without "/" at the end; may be empty.
  ///   - prefix: the requested one, in the repository.
  ///   - location: for messages.
  /// - Throws: `.storeUnavailable`, retryable, if the page contains something that was not requested.
  package init(
    listed: [ObjectEntry], base: String, prefix: String, next: String?, location: String
  ) throws(LifeboatError) {
    let base = base.isEmpty ? "" : base + "/"
    var entries: [ObjectEntry] = []
    for entry in listed {
      guard entry.name.utf8.starts(with: (base + prefix).utf8) else {
        throw LifeboatError(
          .storeUnavailable, "the listing of \(location) contains objects that were not requested",
          cause: printable(entry.name), isRetryable: true)
      }
      let name = String(decoding: entry.name.utf8.dropFirst(base.utf8.count), as: UTF8.self)
      // A console makes "folders": empty objects whose keys end with "/". They are not ours.
      guard !name.isEmpty, !name.hasSuffix("/") else { continue }
      entries.append(ObjectEntry(name: name, size: entry.size, modified: entry.modified))
    }
    entries.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    self.init(entries: entries, next: next)
  }
}
