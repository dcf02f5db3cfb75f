import BackupTypes
import SystemIO
import SystemPackage

/// The settings that a vendor's own tools read from the environment, and from the files that it names.
package protocol VendorSettings: Sendable {
  var environment: [String: String] { get }
  /// The content of a file; nil if it does not exist.
  var readFile: @Sendable (String) throws -> [UInt8]? { get }
}

extension VendorSettings {
  /// As in the vendors' tools, an empty variable counts as not set.
  package subscript(_ variable: String) -> String? {
    environment[variable].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The first of `variables` that is set.
  func first(_ variables: String...) -> String? {
    variables.lazy.compactMap { self[$0] }.first
  }

  func isTrue(_ variable: String) -> Bool { self[variable]?.lowercased() == "true" }

  /// The text of a file; nil if it does not exist.
  ///
  /// - Throws: `.storeUnavailable`, since the store can't be used without the file.
  func text(of path: String) throws -> String? {
    let bytes: [UInt8]?
    do {
      bytes = try readFile(expanded(path))
    } catch let error as LifeboatError {
      throw credentialFailure(
        "can't use the file \(printable(path))",
        cause: error.inOneLine,
        hint: error.hint ?? "check what is mounted there", isRetryable: error.isRetryable)
    }
    guard let bytes else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw credentialFailure(
        "\(printable(path)) is not UTF-8 text", hint: "check what is mounted there")
    }
    return text
  }

  /// A token in the form for a header: without the line end that editors add.
  func token(of path: String, namedBy origin: String) throws -> String {
    guard let text = try text(of: path) else {
      throw credentialFailure(
        "the token file \(printable(path)) does not exist", cause: "named by \(origin)",
        hint: "check that the projected volume is mounted and the path is right", isRetryable: true)
    }
    let token = text.trimmingWhitespace()
    guard !token.isEmpty else {
      throw credentialFailure(
        "the token file \(printable(path)) is empty", cause: "named by \(origin)",
        hint: "check what writes the token there", isRetryable: true)
    }
    return token
  }

  private func expanded(_ path: String) -> String {
    guard path.hasPrefix("~/"), let home = self["HOME"] else { return path }
    return home + path.dropFirst(1)
  }

  /// Links are followed: Kubernetes mounts secrets and tokens as links.
  package static func read(_ path: String) throws -> [UInt8]? {
    let path = FilePath(path)
    guard try FileStatus.at(path) != nil else { return nil }
    return try OpenFile(reading: path, links: .follow).readAll(limit: settingsFileBytesMax)
  }
}

/// The longest real configuration has about 100 KiB, a token less than 16 KiB.
private let settingsFileBytesMax = 1 << 20

/// An error in the credentials: the store can't be used, so exit 4.
func credentialFailure(
  _ message: String, cause: String? = nil, hint: String? = nil, isRetryable: Bool = false
) -> LifeboatError {
  LifeboatError(.storeUnavailable, message, cause: cause, hint: hint, isRetryable: isRetryable)
}

extension StringProtocol {
  func trimmingWhitespace() -> String {
    let isSpace: (Character) -> Bool = { $0.isWhitespace || $0.isNewline }
    var text = self.drop(while: isSpace)
    while let last = text.last, isSpace(last) { text = text.dropLast() }
    return String(text)
  }
}
