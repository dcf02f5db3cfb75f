/// What a `redis.conf` says about persistence. Nothing is defaulted: nil means that the file is
/// silent. As in Redis, names are case-insensitive and the last mention wins; `include` is not
/// followed, only reported.
package struct RedisConfiguration: Sendable, Equatable {
  /// `dir`
  package var directory: String?
  /// `dbfilename`
  package var dumpName: String?
  /// `appendonly`
  package var appendOnly: Bool?
  /// `appendfilename`
  package var appendName: String?
  /// `appenddirname`
  package var appendDirectoryName: String?
  /// Paths or patterns of `include`, in order.
  package var includes: [String]

  package init() {
    includes = []
  }

  package init(parsing bytes: [UInt8]) throws(RedisConfigurationFault) {
    self.init()
    var number = 0
    for line in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
      number += 1
      let text = line.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
      guard let first = text.first, first != UInt8(ascii: "#") else { continue }
      try read(text, line: number)
    }
  }

  private mutating func read(
    _ text: ArraySlice<UInt8>, line: Int
  ) throws(RedisConfigurationFault) {
    guard !text.contains(0) else {
      throw RedisConfigurationFault(line: line, reason: "a NUL byte")
    }
    guard let arguments = splitArguments(text) else {
      throw RedisConfigurationFault(line: line, reason: "unbalanced quotes")
    }
    guard let first = arguments.first else { return }
    let name = String(decoding: lowercased(first), as: UTF8.self)
    func value() throws(RedisConfigurationFault) -> String {
      guard arguments.count == 2 else {
        throw RedisConfigurationFault(line: line, reason: "\(name) takes one value")
      }
      guard let text = String(validating: arguments[1], as: UTF8.self), !arguments[1].contains(0)
      else {
        throw RedisConfigurationFault(
          line: line, reason: "the value of \(name) is not valid UTF-8 text")
      }
      return text
    }
    switch name {
    case "dir": directory = try value()
    case "dbfilename": dumpName = try value()
    case "appendfilename": appendName = try value()
    case "appenddirname": appendDirectoryName = try value()
    case "include": includes.append(try value())
    case "appendonly":
      switch lowercased(try value().utf8) {
      case Array("yes".utf8): appendOnly = true
      case Array("no".utf8): appendOnly = false
      default: throw RedisConfigurationFault(line: line, reason: "appendonly is neither yes nor no")
      }
    default: break
    }
  }
}

package struct RedisConfigurationFault: Error, Sendable, Equatable {
  /// From 1.
  package var line: Int
  /// A phrase for an operator, without a full stop.
  package var reason: String

  package init(line: Int, reason: String) {
    self.line = line
    self.reason = reason
  }
}
