/// What a server has of a `TransactionalLoad`.
package struct LoadCheck: Sendable, CustomStringConvertible {
  /// The last step that the server has. If there are no problems, everything up to it that the load keeps is
  /// there.
  package var lastStep: Int
  /// The first few problems. Empty if the server has exactly steps 1 to `lastStep`.
  package var problems: [String]

  package var isConsistent: Bool { problems.isEmpty }
  package var description: String {
    "steps 1 to \(lastStep)" + (isConsistent ? "" : ": " + problems.joined(separator: "; "))
  }
}

extension TransactionalLoad {
  /// Checks that `server` has exactly steps 1 to some N (or the last of these, as many as the load keeps),
  /// that each step is complete, and that none is above `issued`.
  package func check(_ server: RedisServer) async throws -> LoadCheck {
    var check = try await TransactionalLoad.check(server, options)
    if check.lastStep > issued {
      check.problems.append("holds step \(check.lastStep), but \(issued) is the last one sent")
    }
    return check
  }

  /// The same without the load itself: `options` has the seed, the prefix and the payload's size.
  package static func check(
    _ server: RedisServer, _ options: Options = Options()
  ) async throws -> LoadCheck {
    let client = try server.connect()
    return try await onOwnThread {
      var checker = LoadChecker(client: client, options: options)
      return try checker.run()
    }
  }
}

private struct LoadChecker {
  let client: RESPClient
  let payload: LoadPayload
  let prefix: String
  let keeps: Int
  var problems: [String] = []
  private let problemsMax = 10
  private let batch = 500

  init(client: RESPClient, options: TransactionalLoad.Options) {
    self.client = client
    payload = LoadPayload(seed: options.seed, sizes: options.payload)
    prefix = options.prefix
    keeps = options.keeps ?? .max
  }

  mutating func run() throws -> LoadCheck {
    try client.command("SELECT", 1)
    let second = try client.command("GET", prefix + "b").integer ?? 0
    try client.command("SELECT", 0)
    let first = try client.command("GET", prefix + "a").integer ?? 0
    if first != second { note("counters differ: \(first) and \(second)") }
    let last = max(first, second)
    for start in stride(from: max(1, last - min(keeps, last) + 1), through: last, by: batch) {
      try checkPayloads(start...min(start + batch - 1, last))
    }
    try checkCounts(min(first, keeps))
    return LoadCheck(lastStep: last, problems: problems)
  }

  private mutating func checkPayloads(_ steps: ClosedRange<Int>) throws {
    let strings = try client.pipeline(steps.map { ["GET", prefix + "p:\($0)"] })
    let fields = try client.pipeline(
      steps.map { ["HGET", prefix + "h:\($0 % 100)", "f\($0)"] })
    for (index, step) in steps.enumerated() {
      let expected = Blob(payload.bytes(step))
      for (place, reply) in [("string", strings[index]), ("field", fields[index])] {
        guard let found = reply.bytes.map(Blob.init) else {
          note("step \(step): \(place) is missing")
          continue
        }
        if found != expected { note("step \(step): \(place) is \(found), not \(expected)") }
      }
    }
  }

  /// Every step is there, so if the counts are equal, there is nothing else.
  private mutating func checkCounts(_ steps: Int) throws {
    let strings = try client.command("KEYS", prefix + "p:*").array?.count ?? -1
    if strings != steps { note("\(strings) strings for \(steps) steps") }
    let lengths = try client.pipeline((0..<100).map { ["HLEN", prefix + "h:\($0)"] })
    let fields = lengths.reduce(0) { $0 + ($1.integer ?? 0) }
    if fields != steps { note("\(fields) fields for \(steps) steps") }
  }

  private mutating func note(_ problem: String) {
    if problems.count < problemsMax { problems.append(problem) }
  }
}
