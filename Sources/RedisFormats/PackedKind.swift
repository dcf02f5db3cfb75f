extension PackedCheck {
  enum Kind: Sendable {
    case ziplist, listpack, intset, zipmap

    /// The size of the header in bytes.
    var headerSize: UInt64 {
      switch self {
      case .listpack: 6
      case .ziplist: 10
      case .intset: 8
      case .zipmap: 1
      }
    }
  }

  /// How much of a packed string a server reads, beyond header and end byte.
  enum Depth: Sendable, Equatable {
    /// This many entries, or fewer if there are not as many.
    case entries(Int)
    /// The first entry, which must exist.
    case firstEntry
    /// Every entry.
    case all
    /// Every entry, and whether header and entries agree. The number of entries must be a multiple of `of`; 0
    /// means a node of a stream.
    case whole(of: UInt64)
  }
}
