package import BackupTypes
import CExpat

/// An element of a small XML reply, without namespace prefixes.
///
/// Safe for any bytes: a document type, which could define entities, is refused, and the depth and the number
/// of elements are bounded.
package struct XMLElement: Sendable {
  package fileprivate(set) var name: String
  package fileprivate(set) var attributes: [String: String] = [:]
  /// The text of the element itself, without that of its children.
  package fileprivate(set) var text = ""
  package fileprivate(set) var children: [XMLElement] = []

  /// S3's deepest reply has 5 levels.
  static let depthMax = 16
  /// Ten times a page of 1000 entries with ten fields each.
  static let elementsMax = 100_000

  /// The first child of that name.
  package subscript(_ name: String) -> XMLElement? { children.first { $0.name == name } }

  package func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

  /// - Throws: `.corrupt` for anything that is not one well-formed element.
  package init(parsing bytes: [UInt8]) throws(LifeboatError) {
    let builder = Builder()
    let words = withExtendedLifetime(builder) {
      var handler = cexpat_handler(
        context: Unmanaged.passUnretained(builder).toOpaque(),
        begin: { XMLElement.builder($0).begin($1, $2) },
        text: { XMLElement.builder($0).append($1, $2) },
        end: { XMLElement.builder($0).end() },
        doctype: { XMLElement.builder($0).refuse("it has a document type") })
      return bytes.withUnsafeBytes { buffer in
        cexpat_parse(
          buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count, &handler
        ).map { String(cString: $0) }
      }
    }
    guard words == nil, builder.problem == nil, let root = builder.root else {
      throw LifeboatError(
        .corrupt, "the reply is not the expected XML",
        cause: builder.problem ?? words ?? "it is empty")
    }
    self = root
  }

  fileprivate init(name: String) { self.name = name }

  private static func builder(_ context: UnsafeMutableRawPointer) -> Builder {
    Unmanaged<Builder>.fromOpaque(context).takeUnretainedValue()
  }

  /// Used only within the call of `init` that made it. Its methods return 1 to continue and 0 to stop.
  private final class Builder {
    var root: XMLElement?
    var problem: String?
    private var stack: [XMLElement] = []
    private var texts: [[UInt8]] = []
    private var count = 0

    func begin(
      _ name: UnsafePointer<CChar>, _ attributes: UnsafePointer<UnsafePointer<CChar>?>
    ) -> Int32 {
      count += 1
      guard count <= elementsMax else { return refuse("it has too many elements") }
      guard stack.count < depthMax else { return refuse("it is nested too deeply") }
      let full = String(cString: name)
      var element = XMLElement(name: full.split(separator: ":").last.map(String.init) ?? full)
      var rest = attributes
      while let name = rest[0], let value = rest[1] {
        element.attributes[String(cString: name)] = String(cString: value)
        rest += 2
      }
      stack.append(element)
      texts.append([])
      return 1
    }

    func append(_ data: UnsafePointer<CChar>, _ length: Int) -> Int32 {
      guard !texts.isEmpty else { return 1 }
      let bytes = UnsafeRawBufferPointer(start: data, count: length)
      texts[texts.count - 1].append(contentsOf: bytes)
      return 1
    }

    func end() -> Int32 {
      guard var element = stack.popLast(), let text = texts.popLast() else { return 1 }
      element.text = String(decoding: text, as: UTF8.self)
      if stack.isEmpty { root = element } else { stack[stack.count - 1].children.append(element) }
      return 1
    }

    func refuse(_ problem: String) -> Int32 {
      self.problem = self.problem ?? problem
      return 0
    }
  }
}
