/// The shared `config` and `credentials` files, parsed: see "Format of the config and credential files" in
/// the AWS SDKs and Tools reference guide. Pure; accepts any text.
package struct SharedConfiguration: Sendable {
  /// The settings of one profile. Those of the credentials file take precedence.
  package struct Profile: Sendable {
    package var settings: [String: String] = [:]
    /// The settings of its `services` section, by service: `s3` → `endpoint_url` → value.
    package var services: [String: [String: String]] = [:]

    package subscript(_ name: String) -> String? {
      settings[name].flatMap { $0.isEmpty ? nil : $0 }
    }
  }

  private var profiles: [String: Profile] = [:]
  private var services: [String: [String: [String: String]]] = [:]

  package init(configuration: String, credentials: String) {
    for section in Section.all(in: configuration) {
      let words = section.name.split(separator: " ", maxSplits: 1).map(String.init)
      if section.name == "default" {
        // `[profile default]` wins over `[default]`.
        if profiles["default"] == nil { add(section, to: "default") }
      } else if words.count == 2, words[0] == "profile" {
        let name = words[1].trimmingWhitespace()
        if name == "default", profiles[name] != nil { profiles[name] = nil }
        add(section, to: name)
      } else if words.count == 2, words[0] == "services" {
        services[words[1].trimmingWhitespace()] = section.nested
      }
    }
    for section in Section.all(in: credentials) { add(section, to: section.name) }
  }

  /// nil if neither file has it.
  package func profile(_ name: String) -> Profile? {
    guard var profile = profiles[name] else { return nil }
    if let section = profile["services"] { profile.services = services[section] ?? [:] }
    return profile
  }

  private mutating func add(_ section: Section, to name: String) {
    profiles[name, default: Profile()].settings.merge(section.settings) { $1 }
  }

  private struct Section {
    var name: String
    var settings: [String: String] = [:]
    var nested: [String: [String: String]] = [:]

    static func all(in text: String) -> [Section] {
      var sections: [Section] = []
      var parent: String?
      for line in text.split(whereSeparator: \.isNewline) {
        guard let first = line.first, first != "#", first != ";" else { continue }
        let body = withoutComment(line).trimmingWhitespace()
        if body.isEmpty { continue }
        if first == "[" {
          parent = nil
          guard let end = body.firstIndex(of: "]") else { continue }
          sections.append(
            Section(name: body[body.index(after: body.startIndex)..<end].trimmingWhitespace()))
        } else if !sections.isEmpty, let equals = body.firstIndex(of: "=") {
          let name = body[..<equals].trimmingWhitespace().lowercased()
          let value = body[body.index(after: equals)...].trimmingWhitespace()
          let last = sections.count - 1
          if first.isWhitespace, let parent {
            sections[last].nested[parent, default: [:]][name] = value
          } else {
            sections[last].settings[name] = value
            parent = value.isEmpty ? name : nil
          }
        }
      }
      return sections
    }

    /// A comment inside a line begins with "#" or ";" after white space.
    private static func withoutComment(_ line: Substring) -> Substring {
      var previous: Character = "x"
      for index in line.indices {
        if line[index] == "#" || line[index] == ";", previous.isWhitespace { return line[..<index] }
        previous = line[index]
      }
      return line
    }
  }
}
