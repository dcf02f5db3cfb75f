import BackupTypes
import SystemIO

/// One page of a listing of a directory store, in the order of the UTF-8 bytes of full names.
///
/// A directory sorts as its name with a "/": `a-b` comes before `a/b`, which comes before `a0`, since
/// "-" < "/" < "0". The place to go on from is the last name itself, so nothing is kept between
/// pages, and what is created or deleted meanwhile doesn't shift the rest.
///
/// Memory is bounded by the page, not by the directory: of each directory no more than `batchMax`
/// candidates are held, the smallest ones after the place reached; when they are used up it is read
/// again.
struct DirectoryListing {
  private static let batchMax = ListPage.entriesMax + 1

  private let prefix: [UInt8]
  /// Everything up to and including this name is done.
  private var cursor: [UInt8]
  private var entries: [ObjectEntry] = []

  init(prefix: String, after cursor: String?) {
    self.prefix = Array(prefix.utf8)
    self.cursor = cursor.map { Array($0.utf8) } ?? []
  }

  mutating func page(of root: OpenDirectory) throws(LifeboatError) -> ListPage {
    try walk(root, path: [])
    guard entries.count > ListPage.entriesMax else { return ListPage(entries: entries, next: nil) }
    entries.removeLast()
    return ListPage(entries: entries, next: entries.last!.name)
  }

  /// One more than a page is looked for, to know whether there is a next one.
  private var isFull: Bool { entries.count > ListPage.entriesMax }

  /// - Parameter path: of `directory` in the repository, with a "/" at the end unless it is the root.
  private mutating func walk(
    _ directory: OpenDirectory, path: [UInt8]
  ) throws(LifeboatError) {
    var reached: [UInt8]?
    while !isFull {
      let batch = try candidates(in: directory, path: path, after: reached)
      for candidate in batch.sorted where !isFull {
        try visit(candidate, in: directory)
        reached = candidate.name
      }
      if batch.isComplete { return }
    }
  }

  private mutating func visit(
    _ candidate: Candidate, in directory: OpenDirectory
  ) throws(LifeboatError) {
    if candidate.isDirectory {
      // Removed since it was listed: nothing was in it.
      guard let child = try directory.openDirectory(candidate.component) else { return }
      try walk(child, path: candidate.name)
    } else if let status = try directory.status(of: candidate.component),
      status.kind == .regular
    {
      entries.append(
        ObjectEntry(
          name: String(decoding: candidate.name, as: UTF8.self),
          size: Int(clamping: status.size), modified: status.modified.instant))
    }
  }

  private struct Candidate {
    /// The full name; of a directory, with a "/" at the end.
    var name: [UInt8]
    var component: String
    var isDirectory: Bool
  }

  private struct Batch {
    var sorted: [Candidate]
    /// Whether nothing after these is left in the directory.
    var isComplete: Bool
  }

  private func candidates(
    in directory: OpenDirectory, path: [UInt8], after reached: [UInt8]?
  ) throws(LifeboatError) -> Batch {
    var found: [Candidate] = []
    var isComplete = true
    func keepSmallest() {
      found.sort { $0.name.lexicographicallyPrecedes($1.name) }
      guard found.count > DirectoryListing.batchMax else { return }
      found.removeLast(found.count - DirectoryListing.batchMax)
      isComplete = false
    }
    try directory.forEachEntry { (entry: OpenDirectory.Entry) throws(LifeboatError) in
      guard let candidate = candidate(entry, path: path) else { return }
      if let reached, !reached.lexicographicallyPrecedes(candidate.name) { return }
      found.append(candidate)
      // Sorting at twice the bound makes it one comparison sort per `batchMax` entries.
      if found.count >= 2 * DirectoryListing.batchMax { keepSmallest() }
    }
    keepSmallest()
    return Batch(sorted: found, isComplete: isComplete)
  }

  /// nil for what holds nothing of this page: not ours, of another prefix, or done already.
  private func candidate(_ entry: OpenDirectory.Entry, path: [UInt8]) -> Candidate? {
    // A name that is not UTF-8 can't be one of ours.
    guard entry.isUTF8, !entry.name.hasPrefix(DurableFile.temporaryPrefix),
      !(path.isEmpty && entry.name == ObjectName.foreignDirectory)
    else { return nil }
    let name = path + Array(entry.name.utf8)
    switch entry.kind {
    case .regular:
      guard name.starts(with: prefix), cursor.lexicographicallyPrecedes(name) else { return nil }
      return Candidate(name: name, component: entry.name, isDirectory: false)
    case .directory:
      let below = name + [UInt8(ascii: "/")]
      guard below.starts(with: prefix) || prefix.starts(with: below) else { return nil }
      guard cursor.lexicographicallyPrecedes(below) || cursor.starts(with: below) else {
        return nil
      }
      return Candidate(name: below, component: entry.name, isDirectory: true)
    case .symlink, .other: return nil
    }
  }
}
