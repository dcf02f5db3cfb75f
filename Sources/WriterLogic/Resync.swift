/// Decides which part of its history a replica requests from a primary.
///
/// A primary names its history by an id, and counts the bytes of its stream. After a failover the new primary
/// has another id, and knows up to which byte its history is the one of the old id. Examples of what follows:
///
/// | We hold, up to | The primary is | Asked for |
/// | --- | --- | --- |
/// | `a`, 900 | `a`, at 1000 | `a` from 901 |
/// | `a`, 900 | `b`, at 1000; was `a` up to 950 | `a` from 901: what follows is the same history |
/// | `a`, 960 | `b`, at 1000; was `a` up to 950 | `a` from 951: our last 10 bytes are lost for the primary, and become an abandoned branch |
/// | `a`, 900 | `b`, at 1000; never was `a` | everything: a new history |
///
/// A request never combines a new id with an offset of the old one: once the primary's own offset is beyond
/// that offset, the answer would be bytes of another history.
package enum Resync: Sendable, Equatable {
  /// The stream of `id` from the byte after `after` on.
  case partial(id: String, after: UInt64)
  /// The same, but the bytes that we have after `after` are not part of the primary's history any more.
  case fork(id: String, after: UInt64)
  /// A full copy, because of `reason`.
  case full(reason: String)
  /// Nothing can be requested now.
  case notNow(reason: String)

  /// What we hold of a history.
  package struct Held: Sendable, Equatable {
    package var id: String
    /// The offset of our base: that of the first byte that we hold, minus one.
    package var base: UInt64
    /// The offset of the last byte that we hold.
    package var offset: UInt64
    package init(id: String, base: UInt64, offset: UInt64) {
      self.id = id
      self.base = base
      self.offset = offset
    }
  }

  /// What a server says about itself (INFO).
  package struct Primary: Sendable, Equatable {
    package var id: String
    package var offset: UInt64
    /// The history that it continues, up to the byte before `second`; nil if there is none.
    package var former: (id: String, second: UInt64)?
    package var isLoading = false
    /// It is a replica itself, and its own link is down.
    package var isCutOff = false

    package init(
      id: String, offset: UInt64, former: (id: String, second: UInt64)? = nil,
      isLoading: Bool = false, isCutOff: Bool = false
    ) {
      self.id = id
      self.offset = offset
      self.former = former
      self.isLoading = isLoading
      self.isCutOff = isCutOff
    }
    package static func == (a: Primary, b: Primary) -> Bool {
      a.id == b.id && a.offset == b.offset && a.former?.id == b.former?.id
        && a.former?.second == b.former?.second && a.isLoading == b.isLoading
        && a.isCutOff == b.isCutOff
    }
  }

  /// - Parameter held: nil if we have nothing.
  package static func decide(_ held: Held?, _ primary: Primary) -> Resync {
    if primary.isLoading { return .notNow(reason: "the server is loading its data") }
    if primary.isCutOff {
      return .notNow(reason: "the server is a replica whose own link to its primary is down")
    }
    guard let held else { return .full(reason: "the repository has no history of this server") }
    if held.id == primary.id {
      guard held.offset <= primary.offset else {
        return .full(
          reason: "the server is at offset \(primary.offset), and the repository at \(held.offset)")
      }
      return .partial(id: held.id, after: held.offset)
    }
    guard let former = primary.former, former.id == held.id, former.second > 0 else {
      return .full(reason: "the server has another history (\(primary.id))")
    }
    let last = former.second - 1
    if held.offset <= last { return .partial(id: held.id, after: held.offset) }
    guard last >= held.base else {
      return .full(reason: "the server continues the history only from before the last full copy")
    }
    return .fork(id: held.id, after: last)
  }
}
