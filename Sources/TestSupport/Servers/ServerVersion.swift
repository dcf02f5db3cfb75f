import Glibc

/// The servers that `scripts/servers` installs.
package enum ServerVersion: String, CaseIterable, Sendable, CustomStringConvertible {
  // Without the underscore, major and minor version would run together.
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v6_2 = "6.2"
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v7_0 = "7.0"
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v7_4 = "7.4"
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v8_2 = "8.2"
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case valkey9_1 = "valkey-9.1"

  package var label: String { rawValue }
  package var description: String { rawValue }

  /// The versions to test: all of them, or none if `LIFEBOAT_QUICK` is set. A server that is not installed is
  /// not skipped. Its tests fail and name `scripts/servers`.
  package static var available: [ServerVersion] { isQuickRun ? [] : allCases }

  /// The versions in `available` with a multi-part AOF.
  package static var multiPart: [ServerVersion] { available.filter(\.hasMultiPartAOF) }

  /// Whether this run uses no real servers: `.enabled(if: !ServerVersion.isQuickRun)`.
  package static var isQuickRun: Bool { getenv("LIFEBOAT_QUICK") != nil }

  /// Whether the AOF is a directory with base, increments and a manifest.
  package var hasMultiPartAOF: Bool { self != .v6_2 }
  package var hasFunctions: Bool { self != .v6_2 }
  package var hasFieldExpiry: Bool { self != .v6_2 && self != .v7_0 }

  /// The folder of the server and its check tools.
  package var folder: String { ServerVersion.folder + "/" + label }
  package var path: String { folder + "/redis-server" }
  package var checkRDB: String { folder + "/redis-check-rdb" }
  package var checkAOF: String { folder + "/redis-check-aof" }

  package var isInstalled: Bool { access(path, X_OK) == 0 }

  fileprivate static var folder: String {
    getenv("LIFEBOAT_SERVERS").map { String(cString: $0) } ?? Checkout.root + "/.servers"
  }
}

/// A release that `scripts/releases` builds, to run next to this one.
package enum EarlierRelease: String, CaseIterable, Sendable, CustomStringConvertible {
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v0_1_0 = "0.1.0"

  package var description: String { rawValue }

  /// Its `lifeboat`. If it is not built, its tests are not skipped but fail.
  package var path: String {
    get throws {
      let path = ServerVersion.folder + "/releases/\(rawValue)/lifeboat"
      guard access(path, X_OK) == 0 else {
        throw HarnessError("release \(rawValue) is not at \(path): run scripts/releases")
      }
      return path
    }
  }
}

/// The source tree that this was built from.
package enum Checkout {
  /// Four levels above this file, `Sources/TestSupport/Servers/ServerVersion.swift`.
  package static let root: String = {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(4)
    return parts.joined(separator: "/")
  }()
}
