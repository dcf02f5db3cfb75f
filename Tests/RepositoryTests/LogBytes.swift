/// The contents of an append-only file.
enum LogBytes {
  static func command(_ arguments: [UInt8]...) -> [UInt8] { command(arguments) }

  /// A command from words that are separated by spaces.
  static func command(_ text: String) -> [UInt8] {
    command(text.split(separator: " ").map { Array($0.utf8) })
  }

  /// An annotation.
  static func stamp(_ seconds: some BinaryInteger) -> [UInt8] { Array("#TS:\(seconds)\r\n".utf8) }

  private static func command(_ arguments: [[UInt8]]) -> [UInt8] {
    arguments.reduce(into: Array("*\(arguments.count)\r\n".utf8)) {
      $0 += Array("$\($1.count)\r\n".utf8) + $1 + [13, 10]
    }
  }
}
