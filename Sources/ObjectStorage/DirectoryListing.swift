import BackupTypes
import SystemIO

/// A listing of a directory store, page by page, in the order of the UTF-8 bytes of full names.
///
/// A directory sorts as its name with a "/": `a-b` comes before `a/b`, which comes before `a0`, since "-" <
/// "/" < "0". A listing continues after the last name itself, so what is created or deleted meanwhile doesn't
/// shift the rest.
///
/// From the second page on the names of a directory are kept, sorted, for the pages that follow. If they
/// need more than `keptMax`, only the next `batchMax` of them are held; when they are used
/// up, the directory is read again.
struct DirectoryListing: Sendable {
  private static let batchMax = ListPage.entriesMax + 1
  /// Bytes of kept names. Growing arrays take up to twice that for a moment: a quarter of the 64 MiB that
  /// every command has.
  private static let keptMax = 8 << 20

  private let prefix: [UInt8]
  /// Everything up to and including this name was listed.
  private var cursor: [UInt8]
  private var entries: [ObjectEntry] = []
  /// By the directory's path. They still include names that were listed.
  private var kept: [[UInt8]: Names] = [:]
  /// Bytes of names in `kept`, and in the directories that are being visited.
  private var keptBytes = 0
  private let keptMax: Int

  init(prefix: String, after cursor: String?, keptMax: Int = DirectoryListing.keptMax) {
    self.prefix = Array(prefix.utf8)
    self.cursor = cursor.map { Array($0.utf8) } ?? []
    self.keptMax = keptMax
  }

  /// Whether its next page is the one that follows `cursor`.
  func continues(prefix: String, after cursor: String?) -> Bool {
    cursor.map { self.cursor.elementsEqual($0.utf8) } ?? false
      && self.prefix.elementsEqual(prefix.utf8)
  }

  /// Keeps no names.
  mutating func forget() { (kept, keptBytes) = ([:], 0) }

  /// The next page.
  mutating func page(of root: OpenDirectory) throws(LifeboatError) -> ListPage {
    entries = []
    try walk(root, path: [])
    guard isFull else { return ListPage(entries: entries, next: nil) }
    entries.removeLast()
    let last = entries.last!.name
    cursor = Array(last.utf8)
    return ListPage(entries: entries, next: last)
  }

  /// One name more than a page is searched, to know whether there is a next page.
  private var isFull: Bool { entries.count > ListPage.entriesMax }

  /// - Parameter path: of `directory` in the repository, with a "/" at the end unless it is the root.
  private mutating func walk(
    _ directory: OpenDirectory, path: [UInt8]
  ) throws(LifeboatError) {
    var names: Names
    if let known = kept.removeValue(forKey: path) {
      names = known
    } else {
      names = try read(directory, path: path, after: nil)
      keptBytes += names.size
    }
    var next = names.first { isAhead(path + $0) }
    while !isFull {
      if next < names.count {
        try visit(Array(names[next]), path, in: directory)
        next += 1
      } else if names.isComplete {
        keptBytes -= names.size
        return
      } else {
        let reached = Array(names[names.count - 1])
        keptBytes -= names.size
        names = try read(directory, path: path, after: reached)
        keptBytes += names.size
        next = 0
      }
    }
    if names.isComplete { kept[path] = names } else { keptBytes -= names.size }
  }

  private mutating func visit(
    _ name: [UInt8], _ path: [UInt8], in directory: OpenDirectory
  ) throws(LifeboatError) {
    let isDirectory = name.last == UInt8(ascii: "/")
    let component = String(decoding: isDirectory ? name.dropLast() : name[...], as: UTF8.self)
    if isDirectory {
      // It was removed after it was listed, so it was empty.
      guard let child = try directory.openDirectory(component) else { return }
      try walk(child, path: path + name)
    } else if let status = try directory.status(of: component), status.kind == .regular {
      entries.append(
        ObjectEntry(
          name: String(decoding: path + name, as: UTF8.self),
          size: Int(clamping: status.size), modified: status.modified.instant))
    }
  }

  // MARK: Names

  /// The names in one directory, in order. Names of directories end with "/".
  private struct Names: Sendable {
    private(set) var bytes: [UInt8] = []
    private var ends: [UInt32] = []
    private var order: [UInt32] = []
    /// Whether the directory has no names after these.
    var isComplete = true

    var count: Int { order.count }
    /// In memory, in bytes.
    var size: Int { bytes.count + 8 * order.count }
    subscript(index: Int) -> ArraySlice<UInt8> { name(order[index]) }

    private func name(_ number: UInt32) -> ArraySlice<UInt8> {
      bytes[(number == 0 ? 0 : Int(ends[Int(number) - 1]))..<Int(ends[Int(number)])]
    }

    mutating func add(_ name: some Sequence<UInt8>) {
      bytes += name
      order.append(UInt32(ends.count))
      ends.append(UInt32(bytes.count))
    }

    mutating func sort() {
      let names = self
      order.sort { names.name($0).lexicographicallyPrecedes(names.name($1)) }
    }

    /// Keeps only the first `count` of them.
    mutating func truncate(to count: Int) {
      guard self.count > count else { return }
      var rest = Names()
      for index in 0..<count { rest.add(self[index]) }
      rest.isComplete = false
      self = rest
    }

    /// The index of the first that satisfies `predicate`. All after it satisfy it, too.
    func first(where predicate: (ArraySlice<UInt8>) -> Bool) -> Int {
      var (low, high) = (0, count)
      while low < high {
        let middle = (low + high) / 2
        if predicate(self[middle]) { high = middle } else { low = middle + 1 }
      }
      return low
    }
  }

  /// The names in `directory` that may belong to this page or a later one.
  /// - Parameter reached: names up to it were listed.
  private func read(
    _ directory: OpenDirectory, path: [UInt8], after reached: [UInt8]?
  ) throws(LifeboatError) -> Names {
    var names = Names()
    var isBounded = false
    try directory.forEachEntry { (entry: OpenDirectory.Entry) throws(LifeboatError) in
      guard let name = name(entry, path: path), isAhead(path + name) else { return }
      if let reached, !reached.lexicographicallyPrecedes(name) { return }
      names.add(name)
      if !isBounded { isBounded = keptBytes + names.size > keptMax }
      // Sorting at twice the bound makes it one comparison sort per `batchMax` entries.
      if isBounded, names.count >= 2 * DirectoryListing.batchMax {
        names.sort()
        names.truncate(to: DirectoryListing.batchMax)
      }
    }
    names.sort()
    if isBounded { names.truncate(to: DirectoryListing.batchMax) }
    return names
  }

  /// Nil if the entry is not part of this listing: it is not ours, or has another prefix.
  private func name(_ entry: OpenDirectory.Entry, path: [UInt8]) -> [UInt8]? {
    // Our names are all UTF-8.
    guard entry.isUTF8, !entry.name.hasPrefix(DurableFile.temporaryPrefix),
      !(path.isEmpty && entry.name == ObjectName.foreignDirectory)
    else { return nil }
    var name = Array(entry.name.utf8)
    switch entry.kind {
    case .regular: return (path + name).starts(with: prefix) ? name : nil
    case .directory:
      name.append(UInt8(ascii: "/"))
      let full = path + name
      return full.starts(with: prefix) || prefix.starts(with: full) ? name : nil
    case .symlink, .other: return nil
    }
  }

  /// Whether the object, or something in the directory, comes after the cursor.
  private func isAhead(_ name: [UInt8]) -> Bool {
    cursor.lexicographicallyPrecedes(name)
      || (name.last == UInt8(ascii: "/") && cursor.starts(with: name))
  }
}
