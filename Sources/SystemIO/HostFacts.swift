import Glibc
package import SystemPackage

/// Identifies this machine and process.
package enum HostFacts {
  package static func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    return String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Changes with every boot of the kernel; nil if /proc is not mounted or hides it.
  package static func bootIdentifier() -> String? {
    word("/proc/sys/kernel/random/boot_id")
  }

  /// An identity that this machine keeps across boots and a clone of it does not have: its machine id with
  /// the addresses of its network cards. Nil in a container, which has neither.
  package static func machine() -> String? {
    let cards = FilePath("/sys/class/net")
    guard let identifier = word("/etc/machine-id"),
      let entries = try? OpenDirectory(cards).entries().prefix(cardsMax)
    else { return nil }
    let addresses = entries.compactMap { entry -> String? in
      let card = cards.appending(entry.name)
      guard (try? FileStatus.at(card.appending("device"))) != nil else { return nil }
      return word(card.appending("address"))
    }
    return addresses.isEmpty ? nil : ([identifier] + addresses.sorted()).joined(separator: "/")
  }

  private static let cardsMax = 64

  /// The text of a small file, without white space; nil if there is none.
  private static func word(_ path: FilePath) -> String? {
    guard let file = try? OpenFile(reading: path, links: .follow),
      let bytes = try? file.readAll(limit: 8192)
    else { return nil }
    let text = String(decoding: bytes.filter { $0 > 0x20 && $0 < 0x7f }, as: UTF8.self)
    return text.isEmpty ? nil : text
  }

  /// The working directory; nil if it is gone or hidden.
  package static func workingDirectory() -> FilePath? {
    guard let text = getcwd(nil, 0) else { return nil }
    defer { free(text) }
    return FilePath(platformString: text)
  }

  package static var effectiveUserIsRoot: Bool { geteuid() == 0 }
}
