/// Receives every key of a walk, and the content of some of them.
package protocol RDBKeyObserver: Sendable {
  /// The value of a key begins. A name longer than `KeySampling.nameBytesMax` is cut one byte after that
  /// length.
  /// - Returns: whether its content is wanted: the text of a string, the fields of a hash, the members of a
  ///   set or sorted set. Content of other types is never passed on.
  mutating func begin(_ name: [UInt8], database: Int, type: String) -> Bool
  /// A wanted string, up to `KeySampling.nameBytesMax`.
  mutating func take(string: [UInt8])
  /// A wanted field or member; nil if it is longer than `KeySampling.nameBytesMax`.
  /// - Parameter valueBytes: the size of a field's value.
  mutating func take(element: [UInt8]?, valueBytes: UInt64)
  /// This many fields or members can't be passed on one by one.
  mutating func take(unnamed: UInt64)
  mutating func end(_ key: RDBKeyFacts)
}

/// What a walk knows about a key after its value.
package struct RDBKeyFacts: Sendable, Equatable {
  package var name: [UInt8]
  package var database: Int
  /// As in `RDBSummary`.
  package var type: String
  package var elements: UInt64
  /// Encoded bytes of the value, without the key.
  package var bytes: UInt64
  /// Unix milliseconds.
  package var expiresAt: Int64?

  package init(
    name: [UInt8], database: Int, type: String, elements: UInt64, bytes: UInt64, expiresAt: Int64?
  ) {
    self.name = name
    self.database = database
    self.type = type
    self.elements = elements
    self.bytes = bytes
    self.expiresAt = expiresAt
  }
}

/// Combines strings of a walk into elements for its observer.
struct RDBKeyWatch: Sendable {
  var observer: any RDBKeyObserver
  /// Whether strings of the current value are kept.
  private(set) var isWanted = false
  /// The elements of a longer packed value are not passed on one by one. With the default limits (512 entries
  /// of 64 bytes), a packed value has about 75 KiB.
  static let packedBytesMax = 1 << 18

  private var name: [UInt8] = []
  private var type = ""
  /// The field whose value comes next.
  private var field: [UInt8]??

  init(_ observer: any RDBKeyObserver) { self.observer = observer }

  /// How much of the next string is kept.
  var stringBytesMax: Int { KeySampling.nameBytesMax + 1 }

  mutating func begin(_ name: [UInt8], database: Int, type: Int) {
    self.name = name
    self.type = RDBLayout.typeNames[type]
    field = .none
    isWanted = observer.begin(name, database: database, type: self.type)
    if !["string", "hash", "set", "zset"].contains(self.type) { isWanted = false }
  }

  /// A string of the current value. `size` is its length in bytes, unless it is encoded as an integer.
  mutating func take(_ head: [UInt8], size: UInt64) {
    let size = max(size, UInt64(head.count))
    let whole = size <= UInt64(KeySampling.nameBytesMax) ? head : nil
    switch type {
    case "string": observer.take(string: Array(head.prefix(KeySampling.nameBytesMax)))
    case "hash":
      if let field {
        observer.take(element: field, valueBytes: size)
        self.field = .none
      } else {
        field = .some(whole)
      }
    default: observer.take(element: whole, valueBytes: 0)
    }
  }

  /// A value that packs its elements in one string.
  /// - Parameter entries: the count in its header.
  mutating func takePacked(
    _ kind: PackedCheck.Kind, _ bytes: [UInt8], size: UInt64, entriesPerElement: Int,
    elements: UInt64
  ) {
    var entries: [[UInt8]]?
    if size == UInt64(bytes.count) {
      switch kind {
      case .ziplist: entries = PackedList.ziplist(bytes)
      case .listpack: entries = PackedList.listpack(bytes)
      case .intset: entries = PackedList.intset(bytes)
      case .zipmap: entries = nil
      }
    }
    guard let entries, entries.count % entriesPerElement == 0 else {
      return observer.take(unnamed: elements)
    }
    for index in stride(from: 0, to: entries.count, by: entriesPerElement) {
      let isWhole = entries[index].count <= KeySampling.nameBytesMax
      observer.take(
        element: isWhole ? entries[index] : nil,
        valueBytes: type == "hash" ? UInt64(entries[index + 1].count) : 0)
    }
  }

  mutating func takeUnnamed(_ elements: UInt64) { observer.take(unnamed: elements) }

  mutating func end(
    database: Int, type: Int, elements: UInt64, bytes: UInt64, expiresAt: Int64?
  ) {
    isWanted = false
    self.type = RDBLayout.typeNames[type]
    observer.end(
      RDBKeyFacts(
        name: name, database: database, type: self.type, elements: elements, bytes: bytes,
        expiresAt: expiresAt))
  }
}
