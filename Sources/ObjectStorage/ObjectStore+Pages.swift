import BackupTypes

extension ObjectStore {
  /// Calls `take` with every page of the objects below a prefix, in the store's order, until it returns
  /// false.
  ///
  /// A store, or a gateway in front of it, may repeat its continuation. The listing would then never end. If
  /// pages ascend, each page has to begin after the end of the previous one. If they do not, no two pages may
  /// begin with the same name. The number of consecutive pages without entries is limited.
  ///
  /// - Throws: `.storeUnavailable` if the listing makes no progress.
  package func eachPage(
    prefix: String, _ take: (ListPage) throws -> Bool
  ) async throws {
    var token: String?
    var last: String?
    var beginnings: Set<String> = []
    var empty = 0
    repeat {
      let page = try await list(prefix: prefix, continuing: token)
      if let first = page.entries.first?.name {
        if pagesAscend, let last, !last.utf8.lexicographicallyPrecedes(first.utf8) {
          throw endless(
            "a page begins with \(printable(first)), which is not after the end of the page before")
        }
        if !pagesAscend, !beginnings.insert(first).inserted {
          throw endless("two pages begin with \(printable(first))")
        }
        (last, empty) = (page.entries.last?.name, 0)
      } else {
        empty += 1
      }
      guard try take(page) else { return }
      if let next = page.next, next == token || empty > emptyPagesMax {
        throw endless(
          next == token
            ? "a page's continuation is the page itself"
            : "\(counted(empty, "page")) in a row without an entry"
        )
      }
      token = page.next
    } while token != nil
  }

  private func endless(_ cause: String) -> LifeboatError { endlessListing(location, cause) }
}

func endlessListing(_ location: String, _ cause: String) -> LifeboatError {
  LifeboatError(
    .storeUnavailable, "the listing of \(location) does not end", cause: cause,
    hint: "nothing is concluded from it: look for a gateway or a cache in front of the store",
    isRetryable: true)
}

/// A store may return pages without entries, for example after many deletions.
let emptyPagesMax = 1000
