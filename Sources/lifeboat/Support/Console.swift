import BackupTypes
import FoundationEssentials
import Glibc

/// Standard output and error. Results go to the first, everything else to the second.
enum Console {
  static func write(_ text: String, toError: Bool = false) {
    write(Array(harmless(text) { "\\u{" + String($0, radix: 16) + "}" }.utf8), toError: toError)
  }

  /// Text without characters that control a terminal or change the direction of text, since names and records
  /// come from a bucket.
  static func harmless(_ text: String, _ escape: (UInt32) -> String) -> String {
    guard text.unicodeScalars.contains(where: commandsTerminal) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if commandsTerminal(scalar) {
        result += escape(scalar.value)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func commandsTerminal(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    // A line feed, a tab, and the carriage return of a progress line.
    case 0x09, 0x0a, 0x0d: false
    case 0..<0x20, 0x7f...0x9f, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069: true
    default: false
    }
  }

  /// Removes the progress line first.
  static func write(_ bytes: [UInt8], toError: Bool = false) {
    Progress.clear(isResult: !toError)
    rawWrite(bytes, toError: toError)
  }

  /// Only for the progress line.
  static func rawWrite(_ text: String) { rawWrite(Array(text.utf8), toError: true) }

  private static func rawWrite(_ bytes: [UInt8], toError: Bool) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(toError ? 2 : 1, $0.baseAddress! + done, bytes.count - done)
      }
      if count < 0, errno != EINTR { return }  // nobody reads: there is no one to tell
      done += max(0, count)
    }
  }

  static func line(_ text: String) { write(text + "\n") }
  static func note(_ text: String) { write(text + "\n", toError: true) }
  static func warn(_ text: String) { note("lifeboat: warning: " + text) }

  /// One JSON document, with sorted keys.
  static func json(_ value: some Encodable) throws {
    write(String(decoding: try encoded(value), as: UTF8.self))
  }

  /// As `json` prints it, with its last line feed.
  static func encoded(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return Array(try jsonText(encoder.encode(value)).utf8) + [UInt8(ascii: "\n")]
  }

  /// The encoder escapes only what JSON has to.
  static func jsonText(_ encoded: Data) -> String {
    harmless(String(decoding: encoded, as: UTF8.self)) {
      let digits = String($0, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
  }

  static var errorIsTerminal: Bool { isatty(2) == 1 }

  /// Whether standard output is a terminal that shows more than ASCII, according to the locale.
  static var drawsUnicode: Bool {
    isatty(1) == 1 && localeIsUnicode
  }

  static var localeIsUnicode: Bool {
    let environment = EnvironmentFlags.processEnvironment()
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].compactMap { environment[$0] }.first { !$0.isEmpty }
    let name = (locale ?? "").lowercased()
    return name.contains("utf-8") || name.contains("utf8")
  }

  /// Prints an error and returns its exit code.
  static func report(_ error: any Error, asJSON: Bool, interruption: Interruption) -> ExitCode {
    if error is CancellationError, let code = interruption.code {
      note("lifeboat: interrupted; no partial result is left, and the next run continues from here")
      return code
    }
    let known = LifeboatError(wording: error)
    note("lifeboat: error: \(known)")
    if asJSON { try? json(ErrorDocument(error: .init(known))) }
    return known.code
  }

  static func fail(_ error: LifeboatError) -> Never {
    note("lifeboat: error: \(error)")
    end(error.code)
  }

  /// Ends the process without running `atexit` handlers. OpenSSL's handler frees memory that the ending
  /// threads of an HTTP client still use, and the process would occasionally die of SIGABRT or SIGSEGV
  /// instead of returning its exit code. All output is written by then: `write` and the log have no buffer.
  static func end(_ code: ExitCode) -> Never {
    _exit(code.rawValue)
  }
}

/// What `--json` prints when a command fails.
struct ErrorDocument: Encodable {
  struct Body: Encodable {
    var exitCode: Int32
    var message: String
    var cause: String?
    var remedy: String?
    init(_ error: LifeboatError) {
      exitCode = error.code.rawValue
      message = error.message
      cause = error.cause
      remedy = error.hint
    }
  }
  var error: Body
}
