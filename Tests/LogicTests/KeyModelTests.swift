import HistoryLogic
import RedisFormats
import Testing

@Suite struct KeyModelTests {
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  private func model(_ commands: [String], base: [String: RedisValue] = [:]) -> KeyModel {
    var model = KeyModel(KeySampling(seed: 7), countMax: 1000)
    for (name, value) in base {
      model.load(.init(database: 0, name: bytes(name)), .init(value: value))
    }
    for command in commands {
      model.apply(command.split(separator: " ").map { bytes(String($0)) }, isWhole: true)
    }
    return model
  }

  private func state(_ model: KeyModel, _ name: String, _ database: Int = 0) -> KeyModel.State? {
    model.states[.init(database: database, name: bytes(name))]
  }

  @Test func `commands that need no more than their arguments are followed`() {
    let made = model([
      "SELECT 0", "SET s old", "SET s new PXAT 99", "APPEND s er", "INCR n", "INCRBY n 41",
      "DECR n", "MULTI", "HSET h a 1 b 2", "HDEL h a", "HINCRBY h c 3", "EXEC", "RPUSH l 1 2 3",
      "LPUSH l 4 5", "LPOP l", "RPOP l 2", "SADD t x y", "SREM t x", "ZADD z 1.5 m 2 n", "ZREM z n",
      "SELECT 3", "MSET s other u v", "DEL u",
    ])
    #expect(state(made, "s") == .init(value: .string(bytes("newer")), expiresAt: 99))
    #expect(state(made, "n")?.value == .string(bytes("41")))
    #expect(state(made, "h")?.value == .hash([bytes("b"): bytes("2"), bytes("c"): bytes("3")]))
    #expect(state(made, "l")?.value == .list([bytes("4"), bytes("1")]))
    #expect(state(made, "t")?.value == .set([bytes("y")]))
    #expect(state(made, "z")?.value == .sortedSet([bytes("m"): 1.5]))
    #expect(state(made, "s", 3)?.value == .string(bytes("other")))
    #expect(state(made, "u", 3) == .init(value: nil))
  }

  @Test func `a key that any other command names is given up, and stays so`() {
    for command in ["COPY s d", "SORT x STORE s", "GETSET s v", "XADD s * a b", "ZADD s NX 1 m"] {
      let made = model(["SET s v", "SET k w", command, "SET s again"])
      #expect(state(made, "s") == nil, "\(command)")
      #expect(state(made, "k")?.value == .string(bytes("w")), "\(command)")
    }
  }

  @Test func `a full copy is what the log goes on from`() {
    let made = model(
      ["HSET h b 2", "PERSIST s"],
      base: ["h": .hash([bytes("a"): bytes("1")]), "s": .string(bytes("v"))])
    #expect(state(made, "h")?.value == .hash([bytes("a"): bytes("1"), bytes("b"): bytes("2")]))
    #expect(state(made, "s")?.value == .string(bytes("v")))
    var unread = KeyModel(KeySampling(seed: 7), countMax: 1000)
    unread.load(.init(database: 0, name: bytes("x")), .init(value: nil))
    unread.apply([bytes("SET"), bytes("x"), bytes("v")], isWhole: true)
    #expect(unread.states.isEmpty, "what was not read may be of another kind")
  }

  @Test func `a script, or a command that is not whole, leaves nothing certain`() {
    #expect(model(["SET s v", "EVAL script 0"]).isLost)
    var made = model(["SET s v"])
    made.apply([bytes("DEL"), bytes("k")], isWhole: false)
    #expect(made.isLost && made.states.isEmpty)
    var single = model(["SET s v", "SET k w"])
    single.apply([bytes("RPUSH"), bytes("s"), bytes("v")], isWhole: false)
    #expect(!single.isLost && single.states.count == 1)
  }

  @Test func `more keys than are followed leave some, whatever came first`() {
    let commands = (0..<5000).map { "SET key:\($0) \($0)" }
    var made = KeyModel(KeySampling(seed: 3), countMax: 512)
    for command in commands + commands.reversed() {
      made.apply(command.split(separator: " ").map { bytes(String($0)) }, isWhole: true)
    }
    #expect((100...512).contains(made.states.count))
    for (place, state) in made.states {
      #expect(
        state.value == .string(Array(place.name.dropFirst(4))),
        "\(String(decoding: place.name, as: UTF8.self))")
    }
  }

  @Test func `what is flushed is gone`() {
    let made = model(["SET a 1", "SELECT 1", "SET b 2", "FLUSHDB", "SELECT 0", "FLUSHALL"])
    #expect(made.states.values.allSatisfy { $0 == .init(value: nil) })
  }
}
