package import BackupTypes

/// An instant that a document shows as people read it: RFC 3339 in UTC.
@propertyWrapper
package struct Stamped: Sendable, Hashable, Encodable {
  package var wrappedValue: Instant

  package init(wrappedValue: Instant) { self.wrappedValue = wrappedValue }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(wrappedValue.description)
  }
}
