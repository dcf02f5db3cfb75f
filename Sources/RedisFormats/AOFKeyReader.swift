/// Reads the names of the keys that commands write or remove.
///
/// It receives every argument in turn, in pieces. It only reads those that it needs, and keeps none of them.
struct AOFKeyReader: Sendable {
  var sample: KeySample

  /// What to do with the current argument.
  private enum Role: Sendable { case skip, name(KeySample.Change), word }

  private var effect = KeyEffect.none
  private var role = Role.skip
  private var index = 0
  private var hash = NameHash()
  private var word = AOFWord()
  /// The name that SET or a similar command writes. A later argument may say that it expires.
  private var held: UInt64?
  private var expires = false
  private var keepsExpiry = false
  private var number: Int?

  init(_ sample: KeySample) { self.sample = sample }

  mutating func beginArgument(length: UInt64) {
    guard index > 0 else { return }
    role = roleOfArgument(length)
    switch role {
    case .skip: break
    case .name: hash = NameHash()
    case .word: word = AOFWord()
    }
  }

  private mutating func roleOfArgument(_ length: UInt64) -> Role {
    switch (effect, index) {
    case (.none, _), (.emptyAll, _), (.emptyOne, _), (.anything, _), (.thinOut, _): return .skip
    case (.countedPairs, 1): return .word
    case (.countedPairs, 2...):
      guard index % 2 == 0, index / 2 <= number ?? 0 else { return .skip }
      return .name(.set(expires: true))
    case (.set, 2): return .skip
    case (.set, 3...): return length <= 7 ? .word : .skip
    // A time to live of 0 means none.
    case (.restore, 2):
      expires = length > 1
      return .skip
    case (.select, 1), (.swap, 1), (.swap, 2): return .word
    default: return effect.change(at: index).map { .name($0) } ?? .skip
    }
  }

  @inline(__always)
  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    switch role {
    case .skip: break
    case .name: hash.append(bytes)
    case .word: word.append(bytes)
    }
  }

  /// - Parameter name: the command's name, if it is the argument that ends.
  mutating func endArgument(_ name: AOFWord) {
    if index == 0 {
      effect = KeyEffect.of(name)
    } else {
      switch role {
      case .skip: break
      case .name(let change):
        if case .set(let expires) = change, effect != .countedPairs {
          (held, self.expires) = (hash.value, expires)
        } else {
          sample.note(change, hash.value)
        }
      case .word: endWord()
      }
    }
    role = .skip
    index &+= 1
  }

  private mutating func endWord() {
    switch effect {
    case .set:
      if KeyEffect.expiryOptions.contains(word) { expires = true }
      if word == KeyEffect.keepsExpiry { keepsExpiry = true }
    case .swap where index == 2:
      if let number, let other = word.number { sample.swap(number, other) }
    case .select, .swap, .countedPairs: number = word.number
    default: break
    }
  }

  mutating func endCommand() {
    if let held {
      sample.note(keepsExpiry ? .write : .set(expires: expires), held)
      self.held = nil
    }
    switch effect {
    case .select: if let number { sample.select(number) }
    case .emptyAll: sample.emptyAll()
    case .emptyOne: sample.emptyOne()
    case .anything: sample.open()
    case .thinOut: sample.thinOut()
    default: break
    }
    (index, expires, keepsExpiry, number) = (0, false, false, nil)
    effect = .none
  }
}

/// What a command does to the keys that it names. A command that is not listed does something unknown to
/// its first argument.
enum KeyEffect: UInt8, Sendable {
  case none, write, set, restore, expire, remove, mayEmpty
  /// It removes from the first and adds to the second.
  case move
  case rename
  /// Names and values alternate.
  case pairs
  /// It writes the second argument.
  case second
  /// L n, then n names and values, and their expiry.
  case countedPairs
  case select, swap, emptyAll, emptyOne
  /// It may remove any number of keys.
  case thinOut
  /// It may write any number of keys, in arguments that are not read.
  case anything
  case unknown

  func change(at index: Int) -> KeySample.Change? {
    switch (self, index) {
    case (.write, 1), (.move, 2), (.second, 2), (.rename, 2): .write
    case (.set, 1), (.restore, 1): .set(expires: false)
    case (.expire, 1): .set(expires: true)
    case (.remove, _), (.rename, 1): .remove
    case (.mayEmpty, 1), (.move, 1): .mayEmpty
    case (.pairs, let index) where index % 2 == 1: .write
    case (.unknown, 1): .touch
    default: nil
    }
  }

  static let expiryOptions = [AOFWord("PXAT"), AOFWord("EXAT"), AOFWord("PX"), AOFWord("EX")]
  static let keepsExpiry = AOFWord("KEEPTTL")

  private static let words: [(KeyEffect, [StaticString])] = [
    (
      .none,
      [
        "MULTI", "EXEC", "DISCARD", "PUBLISH", "SPUBLISH", "PING", "SCRIPT", "FUNCTION", "XGROUP",
        "MOVE", "LMPOP", "ZMPOP", "REPLCONF", "CONFIG", "XIDMPRECORD", "XCFGSET",
      ]
    ),
    (.anything, ["EVAL", "EVALSHA", "FCALL", "SORT", "GEORADIUS"]),
    (
      .write,
      [
        "HSET", "HMSET", "HSETNX", "HINCRBY", "HINCRBYFLOAT", "HSETEX", "INCR", "INCRBY", "DECR",
        "DECRBY", "INCRBYFLOAT", "APPEND", "SETBIT", "SETRANGE", "SETNX", "BITFIELD", "SADD",
        "ZADD",
        "ZINCRBY", "GEOADD", "LPUSH", "RPUSH", "LPUSHX", "RPUSHX", "LINSERT", "LSET", "XADD",
        "XDEL",
        "XTRIM", "XACK", "XCLAIM", "XAUTOCLAIM", "XSETID", "PFADD", "PFMERGE", "HPERSIST",
      ]
    ),
    (
      .write,
      [
        "ARSET", "ARMSET", "ARINSERT", "ARRING", "VADD", "VSETATTR", "XDELEX", "XACKDEL", "XNACK",
        "PHSET",
      ]
    ),
    // All keys of a slot, or of many.
    (.thinOut, ["CLUSTER", "TRIMSLOTS"]),
    (.countedPairs, ["MSETEX"]),
    (.set, ["INCREX", "SET", "GETSET", "PERSIST"]),
    (.restore, ["RESTORE"]),
    (
      .expire,
      [
        "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "SETEX", "PSETEX", "GETEX", "HEXPIRE",
        "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT",
      ]
    ),
    (.remove, ["DEL", "UNLINK", "GETDEL"]),
    (
      .mayEmpty,
      [
        "LPOP", "RPOP", "LREM", "LTRIM", "SPOP", "SREM", "HDEL", "HGETDEL", "ZREM", "ZPOPMIN",
        "ZPOPMAX", "ZREMRANGEBYRANK", "ZREMRANGEBYLEX", "ZREMRANGEBYSCORE", "SINTERSTORE",
        "SDIFFSTORE", "SUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE", "ZUNIONSTORE", "ZRANGESTORE",
        "GEOSEARCHSTORE", "DELEX", "DELIFEQ", "ARDEL", "ARDELRANGE", "VREM", "PHDEL",
      ]
    ),
    (.move, ["LMOVE", "RPOPLPUSH", "SMOVE", "BLMOVE", "BRPOPLPUSH"]),
    (.rename, ["RENAME", "RENAMENX"]),
    (.pairs, ["MSET", "MSETNX"]),
    (.second, ["COPY", "BITOP"]),
    (.select, ["SELECT"]),
    (.swap, ["SWAPDB"]),
    (.emptyAll, ["FLUSHALL"]),
    (.emptyOne, ["FLUSHDB"]),
  ]

  /// A hash table with empty places, because every command of a log is looked up.
  private static let table: [(word: AOFWord, effect: KeyEffect)?] = {
    var table = [(word: AOFWord, effect: KeyEffect)?](repeating: nil, count: 512)
    for (effect, names) in words {
      for name in names {
        let word = AOFWord(name)
        var index = word.hash & 511
        while table[index] != nil { index = (index + 1) & 511 }
        table[index] = (word, effect)
      }
    }
    return table
  }()

  static func of(_ word: AOFWord) -> KeyEffect {
    var index = word.hash & 511
    while let entry = table[index] {
      if entry.word == word { return entry.effect }
      index = (index &+ 1) & 511
    }
    return .unknown
  }
}
