import BackupTypes

/// Which keys a part of a log writes and removes. For a sample of names, chosen by their hash, it keeps the
/// last operation on each. Memory is bounded. When it is full, removed names are only counted. If that is not
/// enough, every second name is dropped from the sample. A sample that fills half of the memory estimates the
/// number of all keys to within a few per cent.
package struct KeySample: Sendable {
  /// The effect of a command on a key.
  enum Change: Sendable, Equatable {
    /// The key exists after the command; its time to live is unchanged.
    case write
    /// The key exists, with or without a time to live.
    case set(expires: Bool)
    case remove
    /// The key may be gone, because its last element was removed or the result was empty.
    case mayEmpty
    /// The command is unknown. The argument may be the name of a key, which may exist.
    case touch
  }

  /// 128 KiB, and temporarily twice as much while it grows.
  static let slotsMax = 1 << 14

  private enum State {
    static let kept: UInt64 = 1
    static let expiring: UInt64 = 2
    static let uncertain: UInt64 = 3
    /// Removed, and not written by an earlier command, so it came from the state below.
    static let removedBeneath: UInt64 = 4
    static let removed: UInt64 = 5
    static func isRemoved(_ state: UInt64) -> Bool { state >= removedBeneath }
  }

  /// Bits 0 to 2: the state; 3 to 6: the database; the others: the hash of the name. 0: empty.
  private var slots: [UInt64] = []
  private var taken = 0
  /// A name is in the sample if this many of the topmost bits of its hash are 0.
  private var shift: UInt64 = 0
  /// The number of slots by database and state, indexed like the lowest bits of a slot.
  private var counts = [Int](repeating: 0, count: 128)
  /// The same for names that are no longer kept: how many names they represent.
  private var settled = [UInt64](repeating: 0, count: 128)
  /// The selected database.
  private var database: UInt64 = 0
  /// Databases that were emptied, one bit each. Nothing of the state below is left in them.
  private var emptied: UInt16 = 0
  /// For each database, its number in the state below, before SWAPDB.
  private var origin: [UInt8] = Array(0..<UInt8(KeyBounds.databasesMax))
  /// The RDB at the beginning of this part, if there is one. There is then no state below.
  private var preamble: KeyBounds?
  /// A command was seen that may have written any number of keys.
  private var isOpen = false
  /// A command was seen that may have removed any number of keys.
  private var isThinned = false
  private let isPartial: Bool

  /// - Parameter isPartial: whether the log before this part was not read.
  package init(isPartial: Bool = false) { self.isPartial = isPartial }

  /// - Parameter known: how many keys there are at the beginning of this part, according to the server.
  package init(known: KeyBounds) {
    isPartial = false
    preamble = known
  }

  /// How many keys there are after this part, if there were `beneath` before it.
  package func bounds(over beneath: KeyBounds) -> KeyBounds {
    let beneath = isPartial ? KeyBounds.unknown : preamble ?? beneath
    var bounds = beneath
    for number in 0..<KeyBounds.databasesMax {
      let isEmptied = emptied & 1 << UInt16(number) != 0
      let under = isEmptied ? KeyBounds.Database() : beneath.databases[Int(origin[number])]
      let expiring = total(number, State.expiring)
      let written = total(number, State.kept).addingSaturated(expiring)
      let uncertain = total(number, State.uncertain)
      let certain = total(number, State.removedBeneath)
      let removed = certain.addingSaturated(total(number, State.removed))
      let lost = removed.addingSaturated(uncertain)
      bounds.databases[number].atLeast =
        isThinned ? written : max(written, under.atLeast.subtractingSaturated(lost))
      bounds.databases[number].atMost =
        isOpen
        ? nil
        : under.atMost.map {
          $0.subtractingSaturated(certain).addingSaturated(written).addingSaturated(uncertain)
        }
      // For this bound, keys that were removed from the state below are assumed to be the expiring ones.
      bounds.databases[number].expiring =
        under.expiring.subtractingSaturated(removed).addingSaturated(expiring)
    }
    return bounds
  }

  private func total(_ number: Int, _ state: UInt64) -> UInt64 {
    let index = number << 3 | Int(state)
    return (UInt64(counts[index]) << shift).addingSaturated(settled[index])
  }

  /// Call this when nothing will be added. Names are then no longer needed.
  package mutating func settle() {
    for index in counts.indices {
      settled[index].addSaturated(UInt64(counts[index]) << shift)
      counts[index] = 0
    }
    (slots, taken) = ([], 0)
  }

  // MARK: What commands do

  mutating func load(_ summary: RDBSummary) {
    preamble = KeyBounds(
      counted: summary.databases.map { ($0.key, $0.value.keys, $0.value.expires) })
  }

  mutating func select(_ number: Int) { database = UInt64(KeyBounds.index(number)) }

  mutating func note(_ change: Change, _ hash: UInt64) {
    guard shift == 0 || hash >> (64 - shift) == 0 else { return }
    if taken &* 2 >= slots.count { makeRoom() }
    guard shift == 0 || hash >> (64 - shift) == 0 else { return }
    let tag = hash & ~127 | database << 3
    let index = place(of: tag)
    let old = slots[index] & 7
    let new = KeySample.state(after: change, old)
    guard new != old else { return }
    if old == 0 {
      taken &+= 1
    } else {
      counts[Int(slots[index] & 127)] &-= 1
    }
    slots[index] = tag | new
    counts[Int(slots[index] & 127)] &+= 1
  }

  private static func state(after change: Change, _ old: UInt64) -> UInt64 {
    switch change {
    case .write: old == State.expiring ? old : State.kept
    case .set(let expires): expires ? State.expiring : State.kept
    case .mayEmpty: State.uncertain
    case .touch: old == 0 || State.isRemoved(old) ? State.uncertain : old
    case .remove:
      switch old {
      case 0, State.removedBeneath: State.removedBeneath
      default: State.removed
      }
    }
  }

  mutating func open() { isOpen = true }

  /// Existing keys may be gone. Keys that are written later exist.
  mutating func thinOut() {
    let (selected, numbers, before) = (database, origin, preamble)
    let (wasOpen, wasEmptied) = (isOpen, emptied)
    var added = [UInt64](repeating: 0, count: KeyBounds.databasesMax)
    for number in added.indices {
      added[number] = total(number, State.kept).addingSaturated(total(number, State.expiring))
    }
    self = KeySample(isPartial: isPartial)
    (database, origin, preamble, emptied) = (selected, numbers, before, wasEmptied)
    (isOpen, isThinned) = (wasOpen, true)
    for number in added.indices {
      settled[number << 3 | Int(State.uncertain)] = added[number]
    }
  }

  mutating func emptyAll() {
    let selected = database
    self = KeySample()
    (database, emptied) = (selected, .max)
  }

  /// Empties the selected database.
  mutating func emptyOne() {
    emptied |= 1 << UInt16(database)
    for state in 0..<8 {
      counts[Int(database) << 3 | state] = 0
      settled[Int(database) << 3 | state] = 0
    }
    let gone = database
    rebuild(slots.count) { $0 >> 3 & 15 != gone }
  }

  mutating func swap(_ one: Int, _ other: Int) {
    let (one, other) = (KeyBounds.index(one), KeyBounds.index(other))
    guard one != other else { return }
    origin.swapAt(one, other)
    let bits = (emptied >> UInt16(one) & 1, emptied >> UInt16(other) & 1)
    emptied &= ~(1 << UInt16(one) | 1 << UInt16(other))
    emptied |= bits.1 << UInt16(one) | bits.0 << UInt16(other)
    for state in 0..<8 {
      counts.swapAt(one << 3 | state, other << 3 | state)
      settled.swapAt(one << 3 | state, other << 3 | state)
    }
    for index in slots.indices where slots[index] != 0 {
      let number = Int(slots[index] >> 3 & 15)
      guard number == one || number == other else { continue }
      let new = UInt64(number == one ? other : one)
      slots[index] = slots[index] & ~(15 << 3) | new << 3
    }
  }

  // MARK: The table

  /// The slot of `tag`, or an empty one for it. There is always an empty slot.
  private func place(of tag: UInt64) -> Int {
    let mask = slots.count - 1
    // The topmost bits are those that choose the sample.
    var index = Int(truncatingIfNeeded: tag >> 7) & mask
    while slots[index] != 0, slots[index] & ~7 != tag { index = (index + 1) & mask }
    return index
  }

  private mutating func makeRoom() {
    guard slots.count >= KeySample.slotsMax else {
      return rebuild(max(64, slots.count * 2)) { _ in true }
    }
    // Removed names first, since counting them is as good unless the names occur again.
    for number in 0..<KeyBounds.databasesMax {
      for state in [State.removedBeneath, State.removed] {
        let index = number << 3 | Int(state)
        settled[index].addSaturated(UInt64(counts[index]) << shift)
      }
    }
    var kept = slots.reduce(0) { $0 + ($1 != 0 && !State.isRemoved($1 & 7) ? 1 : 0) }
    let before = shift
    while kept > KeySample.slotsMax / 4, shift < 56 {
      shift += 1
      let bits = 64 - shift
      kept = slots.reduce(0) {
        $0 + ($1 != 0 && !State.isRemoved($1 & 7) && $1 >> bits == 0 ? 1 : 0)
      }
    }
    let (bits, isSame) = (64 - shift, shift == before)
    rebuild(slots.count) { !State.isRemoved($0 & 7) && (isSame || $0 >> bits == 0) }
    counts = [Int](repeating: 0, count: 128)
    for slot in slots where slot != 0 { counts[Int(slot & 127)] += 1 }
  }

  private mutating func rebuild(_ count: Int, _ isKept: (UInt64) -> Bool) {
    let old = slots
    slots = [UInt64](repeating: 0, count: count)
    taken = 0
    for slot in old where slot != 0 && isKept(slot) {
      slots[place(of: slot & ~7)] = slot
      taken += 1
    }
  }
}

/// The hash of a name that arrives in pieces. Equal names have equal hashes, however they are split.
struct NameHash: Sendable {
  private var state: UInt64 = 0x9ae1_6a3b_2f90_404f
  private var pending: UInt64 = 0
  private var count = 0

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    var index = 0
    while count & 7 != 0, index < bytes.count {
      append(bytes[index])
      index &+= 1
    }
    while index &+ 8 <= bytes.count {
      mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)))
      index &+= 8
      count &+= 8
    }
    while index < bytes.count {
      append(bytes[index])
      index &+= 1
    }
  }

  private mutating func append(_ byte: UInt8) {
    pending |= UInt64(byte) << UInt64(8 &* (count & 7))
    count &+= 1
    if count & 7 == 0 {
      mix(pending)
      pending = 0
    }
  }

  private mutating func mix(_ word: UInt64) {
    state = (state ^ word) &* 0x9e37_79b9_7f4a_7c15
    state ^= state >> 32
  }

  var value: UInt64 {
    var value = (state ^ pending ^ UInt64(truncatingIfNeeded: count) << 56) &* 0xff51_afd7_ed55_8ccd
    value ^= value >> 33
    value = value &* 0xc4ce_b9fe_1a85_ec53
    return value ^ value >> 33
  }
}
