extension RDBWalker {
  /// Performs the current operation on the next bytes. Returns the bytes used; 0 if the atom is incomplete,
  /// or after a fault.
  mutating func step(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch registers.operation {
    case .record: return record(bytes)
    case .string, .key, .auxiliaryName, .auxiliaryValue, .function, .node, .moduleString,
      .nodeKey, .ziplist, .ziplistPairs, .ziplistList, .listpack, .listpackPairs, .listpackTriples,
      .streamNode, .intset, .zipmap, .templatedListpack, .unwatchedString, .templateName:
      return stringHeader(bytes)
    case .length, .loop, .elements, .streamLength, .container, .fieldTTL, .database,
      .moduleID, .moduleLength, .moduleOpcode, .arrayCount, .arrayFlag, .arrayInsert, .arrayTag,
      .template, .templateSize, .templated, .slotImport:
      return length(bytes)
    case .skip1: return skip(1, bytes)
    case .skip4, .moduleFloat: return skip(4, bytes)
    case .skip8, .moduleDouble, .arrayNumber: return skip(8, bytes)
    case .skip16: return skip(16, bytes)
    case .fieldExpiry: return fieldExpiry(bytes)
    case .score: return score(bytes)
    case .oldScore: return oldScore(bytes)
    case .magic: return magic(bytes)
    case .trailer: return trailer(bytes)
    case .end, .counted, .valueDone, .recordDone: return 0
    }
  }

  /// Continues after an operation. `used` is the number of its bytes, which the offset does not include yet.
  @inline(__always)
  mutating func advance(used: Int) {
    registers.advance()
    settle(used: used)
  }

  /// Leaves a program at its end.
  @inline(__always)
  mutating func settle(used: Int) {
    switch registers.operation {
    case .recordDone: registers.jump(to: RDBLayout.record)
    case .valueDone: endValue(at: offset &+ UInt64(used))
    default: break
    }
  }

  private mutating func endValue(at end: UInt64) {
    if let expiredBy, let expiresAt = registers.expiresAt, expiresAt <= expiredBy { expired &+= 1 }
    tally.add(
      type: registers.type, elements: registers.elements, fieldExpires: registers.fieldExpires,
      bytes: end &- registers.valueStart, expires: registers.hasExpiry)
    if keyPlaces != nil, registers.valueStart <= end {
      keyPlaces?.end(
        database: tally.currentNumber, type: registers.typeByte, isValkey: registers.isValkeyMagic,
        value: registers.valueStart..<end, expiresAt: registers.expiresAt)
    }
    if watch != nil {
      watch?.end(
        database: tally.currentNumber, type: registers.type, elements: registers.elements,
        bytes: end &- registers.valueStart, expiresAt: registers.expiresAt)
    }
    registers.hasExpiry = false
    registers.expiresAt = nil
    registers.jump(to: RDBLayout.record)
  }

  // MARK: Records

  private mutating func record(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let byte = bytes.first else { return 0 }
    if byte == 0xff {
      registers.jump(to: RDBLayout.trailer)
      if tally.header.version < 5 { end(behind: 1) }
      return 1
    }
    if registers.isGuess(byte) { isGuessed = true }
    let index = Int(byte) &+ (registers.isValkeyMagic ? 256 : 0)
    let entry = registers.layout.entries[index]
    guard entry > 0 else {
      giveUp(unknownRecord(byte))
      return 0
    }
    switch byte {
    case 0xfc, 0xfd:
      registers.hasExpiry = true
      registers.expiryUnit = byte == 0xfc ? 1 : 1000
    case 0xf5: hasContent = true
    case 0xf4: tally.header.hasSlots = true
    case ..<0xf0:
      hasContent = true
      registers.beginValue(type: Int(registers.layout.types[index]))
      registers.typeByte = byte
    default: break
    }
    registers.jump(to: Int(entry))
    return 1
  }

  private func unknownRecord(_ byte: UInt8) -> String {
    let what = byte >= 0xf0 ? "opcode" : "value type"
    return "structure not verified beyond offset \(offset): \(what) \(byte) of "
      + "\(tally.header.magic) RDB version \(tally.header.version) is unknown"
  }

  private mutating func magic(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch RDBOpening.judge(bytes, takesAnyMagic: takesAnyMagic) {
    case .undecided: return 0
    case .broken(let reason):
      fail(reason)
      return 0
    case .unknown(let isValkey, let version, let reason):
      noteHeader(isValkey: isValkey, version)
      giveUp(reason)
      return 0
    case .foreign(let reason):
      hasTrailer = false
      giveUp(reason)
      return 0
    case .envelope(let codec):
      frame = RDBFrame(codec)
      hasTrailer = false
      registers.isRunning = false
      return RDBOpening.envelopeBytes
    case .rdb(let isValkey, let version):
      noteHeader(isValkey: isValkey, version)
      registers.jump(to: RDBLayout.record)
      return RDBOpening.headerBytes
    }
  }

  private mutating func noteHeader(isValkey: Bool, _ version: Int) {
    tally.header.magic = isValkey ? "VALKEY" : "REDIS"
    tally.header.version = version
    tally.header.isValkey = isValkey
    registers.isValkeyMagic = isValkey
    registers.isConverting = version >= 10
  }

  private mutating func trailer(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard bytes.count >= 8 else { return 0 }
    let stored = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    if stored == 0 {
      verdict = .none
    } else if stored == crcOfContent {
      verdict = .matches
    } else {
      verdict = .differs
      fail("checksum differs: the trailer does not match the content", isCertain: true)
      return 0
    }
    end(behind: 8)
    return 8
  }

  private mutating func end(behind used: UInt64) {
    if used == 1 { verdict = .none }
    state = .ended(at: offset &+ used)
    registers.isRunning = false
  }

  // MARK: Lengths and fixed bytes

  private mutating func length(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let length = RDBLength.read(bytes) else { return 0 }
    // Where no string can be, a server uses the number of a special encoding as the length.
    guard length.size > 0 else {
      fail("invalid length encoding")
      return 0
    }
    switch registers.operation {
    case .loop:
      registers.beginLoop(length.value)
      settle(used: length.size)
      return length.size
    case .elements:
      registers.elements &+= length.value
      registers.beginLoop(length.value)
      settle(used: length.size)
      return length.size
    case .arrayFlag, .arrayInsert, .arrayTag, .template, .templateSize, .templated:
      guard composite(length.value, at: offset &+ UInt64(length.size)) else { return 0 }
      settle(used: length.size)
      return length.size
    case .slotImport:
      // A server does not count these keys, and deletes them if the import can't continue.
      if length.value > 0 { isUncountable = true }
      registers.beginLoop(length.value)
      settle(used: length.size)
      return length.size
    case .arrayCount: registers.elements = length.value
    case .moduleID:
      if length.value >> 10 == RDBLayout.vectorSetID {
        registers.type = RDBLayout.vectorSetType
      }
    case .streamLength: registers.elements &+= length.value
    case .container:
      guard length.value == 1 || length.value == 2 else {
        fail("a list node is neither plain nor packed")
        return 0
      }
      registers.isPlainNode = length.value == 1
    case .fieldTTL: if length.value > 0 { registers.fieldExpires &+= 1 }
    case .database:
      guard length.value <= UInt64(Int32.max) else {
        fail("database number out of range")
        return 0
      }
      guard tally.select(Int(length.value)) else {
        giveUp("more than \(RDBTally.databasesMax) databases; structure not verified further")
        return 0
      }
    case .moduleOpcode: return moduleOpcode(length)
    case .moduleLength:
      registers.moduleNumbers &+= 1
      // A vector set begins with the size of a vector and the number of elements.
      if registers.type == RDBLayout.vectorSetType, registers.moduleNumbers == 2 {
        registers.elements = length.value
      }
      registers.redirect(to: .moduleOpcode)
      return length.size
    default: break
    }
    advance(used: length.size)
    return length.size
  }

  /// Handles lengths that decide how the record continues. Returns false after a fault.
  private mutating func composite(_ value: UInt64, at end: UInt64) -> Bool {
    switch registers.operation {
    case .arrayFlag where value == 0: registers.beginLoop(registers.elements, behind: 2)
    case .arrayFlag where value == 1: registers.advance()
    case .arrayInsert: registers.beginLoop(registers.elements, behind: 1)
    case .arrayTag where value == 0 || value == 3: registers.redirect(to: .unwatchedString)
    case .arrayTag where value == 1 || value == 2: registers.redirect(to: .arrayNumber)
    case .template:
      registers.template = value
      registers.advance()
    case .templateSize where value > 0:
      guard templates.count < RDBWalker.templatesMax else {
        giveUp("more than \(RDBWalker.templatesMax) hash templates; structure not verified further")
        return false
      }
      templates[registers.template] = value
      registers.beginLoop(value)
    case .templated:
      guard let fields = templates[value] else {
        fail("a hash refers to a template that the file does not contain")
        return false
      }
      registers.elements = fields
      if isWatched { watch?.takeUnnamed(fields) }
      registers.beginLoop(fields)
    default:
      fail("an array or a hash template is malformed")
      return false
    }
    return true
  }

  /// A module's value is a stream of opcodes up to opcode 0. Each opcode announces the data after it.
  private mutating func moduleOpcode(_ opcode: RDBLength) -> Int {
    switch opcode.value {
    case 0: advance(used: opcode.size)
    case 1, 2: registers.redirect(to: .moduleLength)
    case 3: registers.redirect(to: .moduleFloat)
    case 4: registers.redirect(to: .moduleDouble)
    case 5: registers.redirect(to: .moduleString)
    default:
      fail("a module value contains an unknown opcode")
      return 0
    }
    return opcode.size
  }

  private mutating func skip(_ count: Int, _ bytes: UnsafeRawBufferPointer) -> Int {
    guard bytes.count >= count else { return 0 }
    if registers.expiryUnit > 0 { expiry(bytes, count) }
    switch registers.operation {
    case .moduleFloat, .moduleDouble: registers.redirect(to: .moduleOpcode)
    default: advance(used: count)
    }
    return count
  }

  /// The expiry of the next key, in milliseconds or, in old files, in seconds.
  private mutating func expiry(_ bytes: UnsafeRawBufferPointer, _ count: Int) {
    let value =
      count == 8
      ? Int64(littleEndian: bytes.loadUnaligned(as: Int64.self))
      : Int64(Int32(littleEndian: bytes.loadUnaligned(as: Int32.self)))
    registers.expiresAt = value &* registers.expiryUnit
    registers.expiryUnit = 0
  }

  private mutating func fieldExpiry(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard bytes.count >= 8 else { return 0 }
    let expiry = Int64(littleEndian: bytes.loadUnaligned(as: Int64.self))
    guard expiry >= -1 else {
      fail("a field expires at an impossible time")
      return 0
    }
    if expiry != -1 { registers.fieldExpires &+= 1 }
    advance(used: 8)
    return 8
  }

  private mutating func score(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard bytes.count >= 8 else { return 0 }
    let bits = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard !Double(bitPattern: bits).isNaN else {
      fail("a score is not a number")
      return 0
    }
    advance(used: 8)
    return 8
  }

  /// 253 is NaN, 254 and 255 are the infinities. Any other value is the number of ASCII bytes that follow.
  private mutating func oldScore(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let length = bytes.first else { return 0 }
    guard length != 253 else {
      fail("a score is not a number")
      return 0
    }
    if length == 0 || length >= 253 {
      advance(used: 1)
    } else {
      registers.bodyLeft = UInt64(length)
    }
    return 1
  }
}
