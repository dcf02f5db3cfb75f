package import BackupTypes
package import ObjectStorage

/// Counts what a reader lists, so that a command can say when a repository may need more memory than it was
/// given.
package struct ListedObjects: Sendable {
  /// More than this many objects may need more than the bound, but no more than `bytes`.
  package struct Excess: Sendable, Equatable {
    package let objects: Int
    package let bytes: Int
  }

  /// What a reader keeps of each object, in bytes, and what it needs besides.
  static let perObject = 128
  static let besides = 48 << 20

  private let bound: MemoryBound
  /// Since the last listing of everything began. A listing in parts has what it began with once more.
  private var inOrder = 0
  private var inParts = 0
  /// What was returned already.
  private var told = 0

  package init(bound: MemoryBound) { self.bound = bound }

  /// - Parameters:
  ///   - page: of a listing of everything, or of what is under `prefix`.
  ///   - isFirst: whether a listing begins with this page.
  /// - Returns: for how many objects the bound is enough, and a bound that is enough for those listed until
  ///   now; nil if the bound is enough, or if this was returned before.
  package mutating func add(_ page: ListPage, prefix: String, isFirst: Bool) -> Excess? {
    if prefix.isEmpty {
      if isFirst { (inOrder, inParts) = (0, 0) }
      inOrder += page.entries.count
    } else {
      inParts += page.entries.count
    }
    let listed = max(inOrder, inParts)
    var bytes = bound.bytes
    while ListedObjects.objects(in: bytes) < listed { bytes *= 2 }
    guard bytes > max(bound.bytes, told) else { return nil }
    told = bytes
    return Excess(objects: ListedObjects.objects(in: bytes / 2), bytes: bytes)
  }

  private static func objects(in bytes: Int) -> Int { max(0, bytes - besides) / perObject }
}
