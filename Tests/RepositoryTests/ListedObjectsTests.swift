import BackupTypes
import ObjectStorage
import TestSupport
import Testing

@testable import RepositoryAccess

/// A command says when a repository has so many objects that it may need more memory than it was given.
@Suite struct ListedObjectsTests {
  private typealias Excess = ListedObjects.Excess
  /// For as many objects there is room in 64 MiB, and in twice that.
  private let enough = (
    (64 << 20) - ListedObjects.besides, (128 << 20) - ListedObjects.besides
  )

  private func page(_ count: Int) -> ListPage {
    let entry = ObjectEntry(name: "x", size: 1, modified: Instant(milliseconds: 0))
    return ListPage(entries: Array(repeating: entry, count: count), next: nil)
  }

  @Test func `each bound that is not enough is named once`() {
    let (small, large) = (enough.0 / ListedObjects.perObject, enough.1 / ListedObjects.perObject)
    var listed = ListedObjects(bound: .standard)
    for _ in 0..<2 {
      #expect(listed.add(page(small), prefix: "", isFirst: true) == nil)
    }
    #expect(
      listed.add(page(1), prefix: "", isFirst: false) == Excess(objects: small, bytes: 128 << 20))
    #expect(listed.add(page(large - small - 1), prefix: "", isFirst: false) == nil)
    #expect(
      listed.add(page(1), prefix: "", isFirst: false) == Excess(objects: large, bytes: 256 << 20))
    // Once more from the beginning.
    #expect(listed.add(page(large + 1), prefix: "", isFirst: true) == nil)
  }

  @Test func `what a listing in parts began with is not counted twice`() {
    let count = enough.0 / ListedObjects.perObject
    var listed = ListedObjects(bound: .standard)
    #expect(listed.add(page(5000), prefix: "", isFirst: true) == nil)
    #expect(listed.add(page(count - 1000), prefix: "timelines/", isFirst: true) == nil)
    #expect(listed.add(page(1000), prefix: "generations/", isFirst: true) == nil)
    #expect(
      listed.add(page(1), prefix: "ops/", isFirst: true) == Excess(objects: count, bytes: 128 << 20)
    )
  }

  @Test func `the smallest bound has room for a small repository`() {
    var listed = ListedObjects(bound: MemoryBound(bytes: MemoryBound.least))
    #expect(listed.add(page(10_000), prefix: "", isFirst: true) == nil)
    let excess = listed.add(page(200_000), prefix: "", isFirst: false)
    #expect(excess?.bytes == MemoryBound.least * 2)
  }
}
