extension PackedCheck {
  enum Kind: Sendable {
    case ziplist, listpack, intset, zipmap

    /// In bytes.
    var headerSize: UInt64 {
      switch self {
      case .listpack: 6
      case .ziplist: 10
      case .intset: 8
      case .zipmap: 1
      }
    }
  }

  /// How much of it a server reads, beyond header and end byte.
  enum Depth: Sendable, Equatable {
    /// That many entries, if there are as many.
    case entries(Int)
    /// The first entry, which must be there.
    case firstEntry
    /// Every entry.
    case all
    /// Every entry, and what header and entries say about one another. The number of entries is a multiple
    /// of `of`; 0: it is a node of a stream.
    case whole(of: UInt64)
  }
}
