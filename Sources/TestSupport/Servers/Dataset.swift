/// The complete content of a server, comparable between all versions. Tests judge a restore by it.
///
/// It has every key of every database with its type, full value and absolute expiry, and the function
/// libraries. Expired keys are not content. Idle times, use counts, encodings, and the consumers' times of a
/// stream, which an AOF does not contain, are not compared.
package struct Dataset: Hashable, Sendable {
  package var databases: [Int: [Blob: Entry]] = [:]
  /// The code of each function library by name.
  package var functions: [Blob: Blob] = [:]

  package struct Entry: Hashable, Sendable {
    package var value: Value
    /// Milliseconds since 1970.
    package var expiry: Int?

    package init(value: Value, expiry: Int?) {
      self.value = value
      self.expiry = expiry
    }
  }

  package enum Value: Hashable, Sendable {
    case string(Blob)
    case list([Blob])
    /// Sorted.
    case set([Blob])
    /// By member, with the bits of the score, because servers format scores differently.
    case sortedSet([Blob: UInt64])
    case hash([Blob: Field])
    case stream(Stream)
    /// A module's type, as its DUMP.
    case other(String, Blob)
  }

  package struct Field: Hashable, Sendable {
    package var value: Blob
    /// Milliseconds since 1970.
    package var expiry: Int?
  }

  package struct Stream: Hashable, Sendable {
    package var entries: [StreamEntry]
    package var lastID: Blob
    package var groups: [Blob: Group]
  }

  package struct StreamEntry: Hashable, Sendable {
    package var id: Blob
    package var fields: [Blob]
  }

  package struct Group: Hashable, Sendable {
    package var lastDelivered: Blob
    /// By entry.
    package var pending: [Blob: Pending]
  }

  package struct Pending: Hashable, Sendable {
    package var consumer: Blob
    package var deliveries: Int
  }

  package init() {}

  package var keyCount: Int { databases.values.reduce(0) { $0 + $1.count } }
  package var isEmpty: Bool { keyCount == 0 && functions.isEmpty }

  package subscript(database: Int, key: String) -> Entry? { databases[database]?[Blob(key)] }

  /// The same without the expiries of keys and fields, to compare only the values.
  package var withoutExpiries: Dataset {
    var copy = self
    copy.databases = databases.mapValues { $0.mapValues { $0.withoutExpiries } }
    return copy
  }
}

extension Dataset.Entry {
  fileprivate var withoutExpiries: Dataset.Entry {
    var copy = Dataset.Entry(value: value, expiry: nil)
    if case .hash(let fields) = value {
      copy.value = .hash(fields.mapValues { .init(value: $0.value, expiry: nil) })
    }
    return copy
  }
}

extension Dataset: CustomStringConvertible {
  package var description: String {
    let counts = databases.sorted { $0.key < $1.key }.map { "db\($0.key): \($0.value.count) keys" }
    let libraries = functions.isEmpty ? [] : ["\(functions.count) function libraries"]
    return isEmpty ? "empty" : (counts + libraries).joined(separator: ", ")
  }
}
