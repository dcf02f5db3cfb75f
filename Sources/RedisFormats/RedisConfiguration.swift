/// What a `redis.conf` says about persistence. There are no defaults: nil means that the file does not have
/// the setting, or that an unreadable part may change it. As in Redis, names are case-insensitive, an
/// included file counts at the place of its `include`, and the last setting wins.
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
  /// Paths or patterns of `include` that were not read, in order.
  package var unread: [String] = []
  /// The limits for includes: their depth, and the number of files.
  private static let depthMax = 8
  private static let filesMax = 256
  private var files = 1

  package init() {}

  /// - Parameter including: gives the contents of the files of a path or pattern, in order; nil if they are
  ///   not known.
  package init(
    parsing bytes: [UInt8], including: (String) -> [[UInt8]]? = { _ in nil }
  ) throws(RedisConfigurationFault) {
    self.init()
    try read(bytes, depth: 0, including)
  }

  private mutating func read(
    _ bytes: [UInt8], depth: Int, _ including: (String) -> [[UInt8]]?
  ) throws(RedisConfigurationFault) {
    var number = 0
    for line in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
      number += 1
      let text = line.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
      guard let first = text.first, first != UInt8(ascii: "#") else { continue }
      try read(text, line: number, depth: depth, including)
    }
  }

  private mutating func read(
    _ text: ArraySlice<UInt8>, line: Int, depth: Int, _ including: (String) -> [[UInt8]]?
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
    case "include":
      let path = try value()
      guard depth < RedisConfiguration.depthMax, let contents = including(path),
        files + contents.count <= RedisConfiguration.filesMax
      else {
        unread.append(path)
        // The unreadable part comes later and may change these settings.
        appendOnly = nil
        return
      }
      files += contents.count
      for content in contents { try read(content, depth: depth + 1, including) }
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
  /// The number of the line, from 1.
  package var line: Int
  /// A phrase for an operator, without a full stop.
  package var reason: String

  package init(line: Int, reason: String) {
    self.line = line
    self.reason = reason
  }
}
