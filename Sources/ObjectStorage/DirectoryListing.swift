import BackupTypes
import SystemIO

/// A listing of a directory store, page by page, in the order of the UTF-8 bytes of full names.
///
/// A directory sorts as its name with a "/": `a-b` comes before `a/b`, which comes before `a0`, since "-" <
/// "/" < "0". A listing continues after the last name itself, so what is created or deleted meanwhile doesn't
/// shift the rest.
///
/// From the second page on the names of a directory are kept, sorted, for the pages that follow. If they
/// need more than `keptMax`, only as many of them as fit are held; when they are used up, the directory is
/// read again.
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
    // A directory is visited only if something in it is ahead: all of it, or what is behind the rest of the
    // cursor.
    let done = cursor.starts(with: path) ? cursor.dropFirst(path.count) : []
    var names: Names
    if let known = kept.removeValue(forKey: path) {
      names = known
    } else {
      names = try read(directory, path: path, done: done, after: [])
      keptBytes += names.size
    }
    var next = names.first { isAhead($0, done) }
    while !isFull {
      if next < names.count {
        try visit(names[next], path, in: directory)
        next += 1
      } else if names.isComplete {
        keptBytes -= names.size
        return
      } else {
        let reached = names[names.count - 1]
        keptBytes -= names.size
        names = try read(directory, path: path, done: done, after: reached)
        keptBytes += names.size
        next = 0
      }
    }
    kept[path] = names
  }

  private mutating func visit(
    _ name: ArraySlice<UInt8>, _ path: [UInt8], in directory: OpenDirectory
  ) throws(LifeboatError) {
    let isDirectory = name.last == UInt8(ascii: "/")
    let component = String(decoding: isDirectory ? name.dropLast() : name, as: UTF8.self)
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
    private var bytes: [UInt8] = []
    private var ends: [UInt32] = []
    private var order: [UInt32] = []
    /// Whether the directory has no names after these.
    var isComplete = true

    var count: Int { order.count }
    /// In memory, in bytes.
    var size: Int { bytes.count + 8 * order.count }
    subscript(index: Int) -> ArraySlice<UInt8> { bytes[Names.range(order[index], ends)] }

    private static func range(_ number: UInt32, _ ends: [UInt32]) -> Range<Int> {
      (number == 0 ? 0 : Int(ends[Int(number) - 1]))..<Int(ends[Int(number)])
    }

    mutating func add(_ name: some Sequence<UInt8>) {
      bytes += name
      order.append(UInt32(ends.count))
      ends.append(UInt32(bytes.count))
    }

    mutating func sort() {
      let ends = ends
      var order = order
      bytes.withUnsafeBytes { bytes in
        func name(_ number: UInt32) -> UnsafeRawBufferPointer {
          UnsafeRawBufferPointer(rebasing: bytes[Names.range(number, ends)])
        }
        order.sort { name($0).lexicographicallyPrecedes(name($1)) }
      }
      self.order = order
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

  /// The names in `directory` that may belong to this page or a later one: as many of the first ones as there
  /// is room for.
  /// - Parameters:
  ///   - done: the part of the cursor below this directory.
  ///   - reached: names up to it were listed.
  private func read(
    _ directory: OpenDirectory, path: [UInt8], done: ArraySlice<UInt8>,
    after reached: ArraySlice<UInt8>
  ) throws(LifeboatError) -> Names {
    let wanted = prefix.dropFirst(path.count)
    var names = Names()
    // Names after this one are beyond the room.
    var last: [UInt8]?
    try directory.forEachEntry { (entry: OpenDirectory.Entry) throws(LifeboatError) in
      guard isOurs(entry, path: path) else { return }
      let isDirectory = entry.kind == .directory
      var text = isDirectory ? entry.name + "/" : entry.name
      text.withUTF8 { name in
        guard name.starts(with: wanted) || isDirectory && wanted.starts(with: name),
          isAhead(name, done), reached.lexicographicallyPrecedes(name),
          last.map({ name.lexicographicallyPrecedes($0) }) ?? true
        else { return }
        names.add(name)
      }
      // To half of the room, so that it is not sorted for every entry.
      if keptBytes + names.size > keptMax, names.count >= 2 * DirectoryListing.batchMax {
        names.sort()
        names.truncate(to: max(DirectoryListing.batchMax, names.count / 2))
        last = Array(names[names.count - 1])
      }
    }
    names.sort()
    return names
  }

  /// Whether an entry can be part of a listing.
  private func isOurs(_ entry: OpenDirectory.Entry, path: [UInt8]) -> Bool {
    // Our names are all UTF-8.
    entry.isUTF8 && (entry.kind == .regular || entry.kind == .directory)
      && !entry.name.hasPrefix(DurableFile.temporaryPrefix)
      && !(path.isEmpty && entry.name == ObjectName.foreignDirectory)
  }

  /// Whether the object, or something in the directory, comes after the rest of the cursor.
  private func isAhead(_ name: some BidirectionalCollection<UInt8>, _ done: ArraySlice<UInt8>)
    -> Bool
  {
    done.lexicographicallyPrecedes(name)
      || (name.last == UInt8(ascii: "/") && done.starts(with: name))
  }
}
