/// One step of a walk. Each step reads at most one small atom of up to 19 bytes, except for strings, whose
/// bodies are streamed.
enum RDBOperation: UInt8, Sendable {
  // The frame of the file.
  case magic, record, trailer
  // Bytes and lengths that are skipped.
  case skip1, skip4, skip8, skip16, length, string
  // Strings and lengths with a meaning.
  case key, auxiliaryName, auxiliaryValue, function, database, nodeKey, streamLength
  /// L n, then n times everything up to the matching `end`. `elements`: each round is an element.
  case loop, elements, end
  /// L n of an array, L 0 or 1, the insert index after a 1, and the loop over n elements, which does not read
  /// n.
  case arrayCount, arrayFlag, arrayInsert, counted
  /// L tag of an array's element, and the data that it announces.
  case arrayTag, unwatchedString, arrayNumber
  /// L n ranges of slots whose keys are being imported.
  case slotImport
  /// L id of a template and L n, its names; L id, and as many values as that template has names.
  case template, templateSize, templateName, templated
  /// A sorted set's score as 8 bytes; or as ASCII, preceded by its length or one of three special values.
  case score, oldScore
  /// L container: 1 plain, 2 packed; and the node that follows it.
  case container, node
  /// Strings that pack many elements of one, two or three entries each. `ziplistList` is a whole list.
  case ziplist, ziplistPairs, ziplistList, listpack, listpackPairs, listpackTriples, streamNode
  /// A hash that refers to a template: its id, then the values.
  case templatedListpack
  case intset, zipmap
  /// A field's time to live: L ttl (0 for none), or 8 bytes (−1 for none).
  case fieldTTL, fieldExpiry
  /// L: the module that wrote the following data.
  case moduleID
  /// One opcode of a module's stream, repeated until its end, and the FLOAT and DOUBLE that it may announce.
  case moduleOpcode, moduleLength, moduleFloat, moduleDouble, moduleString
  /// The end of a value, and of any other record.
  case valueDone, recordDone

  /// Whether this is a string that packs many elements, or may do so.
  @inline(__always)
  var mayPack: Bool {
    self == .node
      || (RDBOperation.ziplist.rawValue...RDBOperation.zipmap.rawValue).contains(rawValue)
  }
}

/// The records of an RDB as short programs (Redis's `rdb.c`, `rdbLoadRio` and `rdbLoadObject`).
struct RDBLayout: Sendable {
  /// The position of `magic`, `record` and `trailer` in `code`.
  static let magic = 1
  static let record = 2
  static let trailer = 3
  static let typeNames = [
    "string", "list", "set", "zset", "hash", "stream", "module", "vectorset", "array", "pathhash",
  ]
  static let vectorSetType = typeNames.firstIndex(of: "vectorset") ?? 0
  /// The name of a module is nine letters of six bits each; the version follows in ten bits.
  static let vectorSetID: UInt64 = "vectorset".utf8.reduce(0) { $0 << 6 | UInt64($1 - 97 + 26) }
  static let shared = RDBLayout()

  private(set) var code: [RDBOperation] = [.recordDone, .magic, .record, .trailer]
  /// The start of the program for a record's first byte; 0 for an unknown byte. There are 256 entries for the
  /// magic REDIS, then 256 for VALKEY, since the numbers from 22 to 243 have different meanings in the two.
  private(set) var entries = [UInt16](repeating: 0, count: 512)
  /// The index into `typeNames` of a value's first byte.
  private(set) var types = [UInt8](repeating: 0, count: 512)

  private enum Magic { case redis, valkey, either }

  private init() {
    addOpcodes()
    addPlainValues()
    addPackedValues()
    addArrays()
    addStreams()
  }

  private mutating func addOpcodes() {
    opcode(0xfe, [.database])
    opcode(0xfd, [.skip4])
    opcode(0xfc, [.skip8])
    opcode(0xfb, [.length, .length])
    opcode(0xfa, [.auxiliaryName, .auxiliaryValue])
    opcode(0xf9, [.skip1])
    opcode(0xf8, [.length])
    opcode(0xf7, [.length, .moduleOpcode])
    opcode(0xf5, [.function])
    opcode(0xf4, [.length, .length, .length])
    opcode(0xf3, [.string, .slotImport, .length, .length, .end], in: .valkey)
    opcode(0xf3, [.loop, .skip4, .moduleOpcode, .end], in: .redis)
    opcode(0xf2, [.template, .templateSize, .templateName, .end], in: .redis)
  }

  private mutating func addPlainValues() {
    value(0, "string", [.string])
    value(1, "list", [.elements, .string, .end])
    value(2, "set", [.elements, .string, .end])
    value(3, "zset", [.elements, .string, .oldScore, .end])
    value(4, "hash", [.elements, .string, .string, .end])
    value(5, "zset", [.elements, .string, .score, .end])
    value(7, "module", [.moduleID, .moduleOpcode])
    value(22, "hash", [.elements, .fieldTTL, .string, .string, .end], in: .redis)
    value(22, "hash", [.elements, .string, .string, .fieldExpiry, .end], in: .valkey)
    // The order is inferred from Valkey 9.2's tests; see `isGuessed`.
    value(
      23, "pathhash", [.loop, .string, .elements, .string, .string, .end, .end], in: .valkey)
    value(24, "hash", [.skip8, .elements, .fieldTTL, .string, .string, .end], in: .redis)
  }

  private mutating func addArrays() {
    value(
      28, "array",
      [.arrayCount, .arrayFlag, .arrayInsert, .counted, .length, .arrayTag, .end], in: .redis)
    value(30, "hash", [.templatedListpack], in: .redis)
    value(32, "hash", [.templated, .unwatchedString, .end], in: .redis)
  }

  private mutating func addPackedValues() {
    value(9, "hash", [.zipmap])
    value(10, "list", [.ziplistList])
    value(11, "set", [.intset])
    value(12, "zset", [.ziplistPairs])
    value(13, "hash", [.ziplistPairs])
    value(14, "list", [.loop, .ziplist, .end])
    value(16, "hash", [.listpackPairs])
    value(17, "zset", [.listpackPairs])
    value(18, "list", [.loop, .container, .node, .end])
    value(20, "set", [.listpack])
    value(23, "hash", [.listpackTriples], in: .redis)
    value(25, "hash", [.skip8, .listpackTriples], in: .redis)
  }

  private mutating func addStreams() {
    for (type, version) in [(UInt8(15), 1), (19, 2), (21, 3), (26, 4), (27, 5)] {
      var layout: [RDBOperation] = [.loop, .nodeKey, .streamNode, .end]
      layout += [.streamLength, .length, .length]
      if version >= 2 { layout += [.length, .length, .length, .length, .length] }
      layout += [.loop, .string, .length, .length]
      if version >= 2 { layout += [.length] }
      layout += [.loop, .skip16, .skip8, .length, .end]
      layout += [.loop, .string, .skip8]
      if version >= 3 { layout += [.skip8] }
      layout += [.loop, .skip16, .end, .end]
      // Entries that consumers returned.
      if version >= 5 { layout += [.loop, .skip16, .end] }
      layout += [.end]
      // Producers whose repeated entries are recognised.
      if version >= 4 {
        layout += [.length, .length, .loop, .string, .loop, .string, .length, .length, .end, .end]
        layout += [.length, .length]
      }
      value(type, "stream", layout, in: version >= 4 ? .redis : .either)
    }
  }

  private mutating func opcode(
    _ byte: UInt8, _ layout: [RDBOperation], in magic: Magic = .either
  ) {
    enter(byte, at: code.count, magic)
    code += layout + [.recordDone]
  }

  private mutating func value(
    _ byte: UInt8, _ type: String, _ layout: [RDBOperation], in magic: Magic = .either
  ) {
    enter(byte, at: code.count, magic)
    let index = UInt8(RDBLayout.typeNames.firstIndex(of: type) ?? 0)
    if magic != .valkey { types[Int(byte)] = index }
    if magic != .redis { types[256 + Int(byte)] = index }
    code += [.key] + layout + [.valueDone]
  }

  private mutating func enter(_ byte: UInt8, at position: Int, _ magic: Magic) {
    if magic != .valkey { entries[Int(byte)] = UInt16(position) }
    if magic != .redis { entries[256 + Int(byte)] = UInt16(position) }
  }

  /// The position after the `end` of the loop whose body begins at `position`.
  func behindLoop(_ position: Int) -> Int {
    var depth = 1
    var next = position
    while next < code.count, depth > 0 {
      switch code[next] {
      case .loop, .elements, .counted, .slotImport, .templateSize, .templated: depth += 1
      case .end: depth -= 1
      default: break
      }
      next += 1
    }
    return next
  }
}
