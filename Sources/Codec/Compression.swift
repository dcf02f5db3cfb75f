/// How bytes are compressed before they are stored.
package enum Compression: String, Sendable, Codable, CaseIterable {
  case none, zstd, gzip

  /// Its number in a frame.
  package var wireValue: UInt8 {
    switch self {
    case .none: 0
    case .zstd: 1
    case .gzip: 2
    }
  }

  /// nil for a number this version does not know.
  package init?(wireValue: UInt8) {
    guard let match = Compression.allCases.first(where: { $0.wireValue == wireValue }) else {
      return nil
    }
    self = match
  }
}
