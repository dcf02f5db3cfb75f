/// The state of a server that has loaded `files` on top of `start`; nil if it would not load them, or if the
/// model never had them.
func replay(_ files: [[UInt8]], from start: Int) -> Int? {
  var state = start
  var isPart = false
  for file in files {
    var rest = file[...]
    var isInside = false
    func line() -> String? {
      guard let end = rest.firstIndex(of: 10), end > rest.startIndex else { return nil }
      defer { rest = rest[(end + 1)...] }
      return String(decoding: rest[rest.startIndex..<(end - 1)], as: UTF8.self)
    }
    while !rest.isEmpty {
      guard let head = line() else { return nil }
      if head.hasPrefix("#TS:") { continue }
      guard head.hasPrefix("*"), let count = Int(head.dropFirst()) else { return nil }
      var words: [String] = []
      for _ in 0..<count {
        guard let length = line(), length.hasPrefix("$"), let word = line() else { return nil }
        words.append(word)
      }
      switch words[0] {
      case "MULTI": isInside = true
      case "EXEC": isInside = false
      case "PART": isPart = true
      case "STATE": (state, isPart) = (Int(words[1])!, false)
      case "FLUSHALL": state += 1
      case "SET":
        guard Int(words[2]) == state + 1 else { return nil }
        state += 1
      default: break
      }
    }
    if isInside { return nil }
  }
  return isPart ? nil : state
}
