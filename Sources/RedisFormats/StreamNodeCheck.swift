/// Checks the entries of a stream's node (Redis's `t_stream.c`, `streamValidateListpackIntegrity`):
///
/// - once: count, deleted, number of fields, the fields, 0;
/// - then for each of count + deleted: flags, two parts of the id, the number of fields and the fields (not
///   with flag 2), the values, and the number of entries that this took.
struct StreamNodeCheck: Sendable {
  private enum Step: Sendable {
    case count, deleted, fieldCount, field, zero
    case flags, milliseconds, sequence, ownFieldCount, ownField, value, size
  }
  private var step = Step.count
  /// Remaining fields or values in this step.
  private var left: Int64 = 0
  private var entriesLeft: Int64 = 0
  private var masterFields: Int64 = 0
  private var fields: Int64 = 0
  private var size: Int64 = 0
  private var hasOwnFields = false
  private(set) var isBroken = false

  /// Whether the node may end here.
  var isComplete: Bool { !isBroken && step == .flags && entriesLeft == 0 }

  /// - Parameter number: the number in the next entry; nil for a string.
  mutating func take(_ number: Int64?) {
    switch step {
    case .field, .ownField, .value:
      left &-= 1
      if left == 0 { leaveFields() }
      return
    default: break
    }
    guard let number, !isBroken, !isComplete else {
      isBroken = true
      return
    }
    switch step {
    case .count: (entriesLeft, step) = (number, .deleted)
    case .deleted: (entriesLeft, step) = (entriesLeft &+ number, .fieldCount)
    case .fieldCount:
      masterFields = number
      enter(.field, masterFields)
    case .zero:
      isBroken = number != 0
      step = .flags
    case .flags:
      entriesLeft &-= 1
      (fields, size) = (masterFields, number & 2 == 0 ? 4 : 3)
      hasOwnFields = number & 2 == 0
      step = .milliseconds
    case .milliseconds: step = .sequence
    case .sequence:
      if hasOwnFields { step = .ownFieldCount } else { enter(.value, fields) }
    case .ownFieldCount:
      fields = number
      size &+= fields
      enter(.ownField, fields)
    case .size:
      isBroken = number != fields &+ size
      step = .flags
    case .field, .ownField, .value: break
    }
  }

  private mutating func enter(_ next: Step, _ count: Int64) {
    (step, left) = (next, count)
    if count <= 0 { leaveFields() }
  }

  private mutating func leaveFields() {
    switch step {
    case .field: step = .zero
    case .ownField: enter(.value, fields)
    default: step = .size
    }
  }
}
