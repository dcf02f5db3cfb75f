import BackupTypes

extension ObjectStore {
  /// Every page of the objects below a prefix, as the store gives them, until `take` returns false.
  ///
  /// A store, or a gateway in front of it, that repeats its continuation would be listed for ever. Where
  /// pages ascend, each has to begin after the one before; where they do not, none may begin as an earlier
  /// one did. Of pages without entries only so many are taken.
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

  private func endless(_ cause: String) -> LifeboatError {
    LifeboatError(
      .storeUnavailable, "the listing of \(location) does not end", cause: cause,
      hint: "nothing is concluded from it: look for a gateway or a cache in front of the store",
      isRetryable: true)
  }
}

/// A store may answer with pages without entries, for example where many objects were deleted.
private let emptyPagesMax = 1000
