import BackupTypes

extension PackedCheck {
  /// Why a server refuses a packed string.
  enum Fault: Sendable {
    case short, width, empty, emptyNode, size(UInt64), tail, end, beyond, encoding, length, previous
    case count, lastEntry, order, node

    /// - Parameter size: the size of the string in bytes.
    func text(size: UInt64) -> String {
      switch self {
      case .short: "a packed value is too short for its header"
      case .width: "a set of integers has integers of an impossible width"
      case .empty: "a set of integers is empty"
      case .emptyNode: "a node of a stream is empty"
      case .size(let claimed):
        "a packed value of \(counted(size, "byte")) claims to have \(claimed)"
      case .tail: "the last entry of a packed value is outside of it"
      case .end: "a packed value does not end with its end byte"
      case .beyond: "an entry of a packed value extends past its end"
      case .encoding: "an entry of a packed value has an unknown encoding"
      case .length: "an entry of a packed value contradicts its own length"
      case .previous: "an entry of a packed value contradicts the length of the one before"
      case .count: "the number of entries of a packed value differs from its header"
      case .lastEntry: "the last entry of a packed value is not where its header says"
      case .order: "the integers of a set do not ascend"
      case .node: "the entries of a packed value are inconsistent"
      }
    }
  }
}
