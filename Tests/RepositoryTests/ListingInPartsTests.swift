import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Synchronization
import TestSupport
import Testing

@testable import RepositoryAccess

/// A large listing of a bucket, which is fetched in parts, has the same objects as one in order.
@Suite struct ListingInPartsTests {
  /// Counts listings, and how many there were at the same time, and folders.
  private final class Bucket: StoreLayer {
    let base: any ObjectStore
    /// These are missing in the folders, as in those of a gateway that has a fault.
    let hidden: Set<String>
    var listsSideBySide: Bool { true }
    private let counts = Mutex((running: 0, most: 0, listings: 0, folders: 0))
    var most: Int { counts.withLock { $0.most } }
    var listings: Int { counts.withLock { $0.listings } }
    var folders: Int { counts.withLock { $0.folders } }

    init(_ base: any ObjectStore, hidden: Set<String> = []) {
      self.base = base
      self.hidden = hidden
    }

    func folder(_ prefix: String) async throws -> StoreFolder {
      counts.withLock { $0.folders += 1 }
      let whole = try await base.folder(prefix)
      var folder = StoreFolder()
      for name in whole.folders where !hidden.contains(prefix + name) { folder.add(folder: name) }
      for name in whole.objects where !hidden.contains(prefix + name) { folder.add(object: name) }
      return folder
    }

    func list(prefix: String, continuing: String?) async throws -> ListPage {
      counts.withLock { counts in
        counts.running += 1
        counts.listings += 1
        counts.most = max(counts.most, counts.running)
      }
      defer { counts.withLock { $0.running -= 1 } }
      // Others can begin meanwhile.
      for _ in 0..<20 { await Task.yield() }
      return try await base.list(prefix: prefix, continuing: continuing)
    }
  }

  private func digest(_ number: Int) -> ShortDigest {
    ShortDigest(hexadecimal: decimal(number, width: 32))!
  }

  private func names(_ random: inout SeededRandom, _ count: Int) -> Set<String> {
    var names: Set = ["lifeboat.json"]
    let timelines = [1, 3, 40][Int.random(in: 0...2, using: &random)]
    let ordinals = [1, 12, 400][Int.random(in: 0...2, using: &random)]
    let foreign = [
      "timelines", "timelines/x/y", "timelines/00000001/log-x", "lifeboat.json.old", "a", "ab/c",
      "timelines/00000001/claims/x", "timelines/00000001/log/x", "é/1", "e\u{301}/2",
      "timelines/é/1", "timelines/e\u{301}/2", "timelines/00000001/log/00000001/é",
    ]
    names.formUnion(foreign.filter { _ in Int.random(in: 0..<100, using: &random) < 40 })
    for number in 0..<count {
      let timeline = TimelineNumber(Int.random(in: 1...timelines, using: &random))!
      let offset = UInt64(number) * 10
      names.insert(
        [
          ObjectPath.claim(timeline),
          .snapshot(timeline, sequence: Int.random(in: 1...50, using: &random)),
          .log(
            timeline, ordinal: Int.random(in: 1...ordinals, using: &random),
            LogSpan(from: offset, to: offset + 10, mark: nil, digest: digest(number))),
        ][min(2, Int.random(in: 0...20, using: &random))].text)
    }
    return names
  }

  @Test(arguments: 0..<UInt64(12))
  func `everything once, whatever the names are`(seed: UInt64) async throws {
    var random = SeededRandom(seed: seed)
    let names = names(&random, 6500)
    let memory = MemoryStore()
    for name in names { _ = try await memory.create(name, [1]) }
    let bucket = Bucket(memory)
    let listed = Mutex<[String]>([])
    let listing = ListingInParts(bucket)
    let begun = try await listing.begin(prefix: "", 5) { _ in }
    #expect(!begun.isWhole)
    try await listing.eachPageOfParts(begun) { page in
      listed.withLock { $0 += page.entries.map(\.name) }
    }
    let found = listed.withLock { $0 }
    #expect(found.count == names.count)
    #expect(Set(found.map { Array($0.utf8) }) == Set(names.map { Array($0.utf8) }))
    #expect(bucket.most <= ListingInParts.width)
  }

  @Test func `if folders lack what was listed, everything is listed in order`() async throws {
    for hidden in ["timelines", "timelines/00000001", "timelines/00000001/log/00000003"] {
      let (memory, repository) = try await repository(of: 6000)
      let bucket = Bucket(memory, hidden: [hidden])
      let catalogue = try await Repository(
        store: bucket, descriptor: repository.descriptor, compression: .none, secrets: nil
      ).catalogue(pagesMin: 5)
      #expect(catalogue.objects == 6001)
      let whole = try await repository.catalogue()
      #expect(catalogue.timelines[.first]?.log == whole.timelines[.first]?.log)
    }
  }

  /// Everybody who may create objects can choose their names.
  @Test func `beginnings of many names are few, and as long as possible`() {
    let long = String(repeating: "x", count: 900)
    let names = (0..<500).map { long + decimal($0, width: 8) + long }
    let beginnings = ListingInParts.beginnings(of: names.shuffled())
    #expect(beginnings == (0..<5).map { long + "00000" + decimal($0, width: 1) })
    #expect(ListingInParts.beginnings(of: []).isEmpty)
    #expect(ListingInParts.beginnings(of: ["b", "a", "ab", "a"]) == ["a", "b"])
    let different = (0..<100).map { String(Unicode.Scalar(UInt32(0x3b1 + $0))!) + "/" }
    #expect(ListingInParts.beginnings(of: different) == [""])
  }

  private func repository(of count: Int) async throws -> (MemoryStore, Repository) {
    let memory = MemoryStore()
    let repository = try await Repository.openOrCreate(
      memory, keys: .none, compression: .none, now: Instant(milliseconds: 0))
    for number in 0..<count {
      let span = LogSpan(
        from: UInt64(number), to: UInt64(number + 1), mark: nil, digest: digest(number))
      _ = try await memory.create(ObjectPath.log(.first, ordinal: 1 + number % 9, span).text, [1])
    }
    return (memory, repository)
  }

  @Test func `parts are listed side by side, and a small repository is not listed in parts`()
    async throws
  {
    for (count, isLarge) in [(900, false), (9000, true)] {
      let (memory, repository) = try await repository(of: count)
      let bucket = Bucket(memory)
      let other = Repository(
        store: bucket, descriptor: repository.descriptor, compression: .none, secrets: nil)
      let catalogue = try await other.catalogue(pagesMin: 5)
      #expect(catalogue.objects == count + 1)
      let whole = try await repository.catalogue()
      #expect(catalogue.timelines[.first]?.log == whole.timelines[.first]?.log)
      #expect(isLarge ? bucket.most > 1 : bucket.listings == 1)
    }
  }

  /// What they continue or delete depends on what is not in the listing.
  @Test func `writers and retention list a large repository in order`() async throws {
    let count = (ListingInParts.pagesMin + 1) * ListPage.entriesMax
    let (memory, repository) = try await repository(of: count)
    for (passesClaims, deletes) in [(true, false), (false, true), (false, false)] {
      let bucket = Bucket(memory)
      let history = try await Repository(
        store: bucket, descriptor: repository.descriptor, compression: .none, secrets: nil
      ).history(passesClaims: passesClaims, deletes: deletes)
      #expect(history.catalogue.objects == count + 1)
      #expect((bucket.folders == 0) == (passesClaims || deletes))
    }
  }

  @Test func `the layers over a bucket say that it is one`() {
    let (memory, bucket) = (MemoryStore(), Bucket(MemoryStore()))
    for (store, isBucket) in [(bucket as any ObjectStore, true), (memory, false)] {
      let retrying = RetryingStore(store, policy: .sidecar) { _ in }
      #expect(StoreBelow(retrying, path: "a").listsSideBySide == isBucket)
    }
  }
}
