import BackupFormat
import BackupTypes
import Testing

@Suite struct EncryptionKeyTests {
  private let key = EncryptionKey(bytes: Array(0..<32))
  /// The text of the bytes 0 to 31, computed by another program.
  private static let text =
    "lifeboat-key-1-000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    + "-d6501a23"

  private func parsed(_ text: String) throws -> EncryptionKey {
    try EncryptionKey(parsing: Array(text.utf8), origin: "the test")
  }

  @Test func `the text of a key is as the format has it`() throws {
    #expect(key.reveal() == EncryptionKeyTests.text)
    #expect(try parsed(EncryptionKeyTests.text) == key)
  }

  @Test(arguments: ["%", "%\n", "%\r\n", "  %  ", "\t%\n\n", "\n%"])
  func `white space around it does not matter`(pattern: String) throws {
    #expect(try parsed(pattern.replacing("%", with: EncryptionKeyTests.text)) == key)
  }

  @Test(arguments: ["", " ", "\n", "\r\n \t"])
  func `nothing is a key that is missing`(text: String) {
    #expect(code { _ = try parsed(text) } == .wrongKey)
  }

  @Test func `every typing error is found in the text, and is no other key`() {
    let characters = Array(EncryptionKeyTests.text)
    func refuses(_ wrong: [Character], _ what: String) {
      let text = String(wrong)
      guard text != EncryptionKeyTests.text else { return }
      do {
        _ = try parsed(text)
        Issue.record("\(what) is taken for a key")
      } catch let error as LifeboatError {
        #expect(error.code == .usage || error.code == .versionMismatch, "\(what): \(error)")
        for part in [text, String(text.suffix(40))] {
          #expect(!"\(error)".contains(part), "\(what): the error shows it")
        }
      } catch {
        Issue.record("\(error)")
      }
    }
    for position in characters.indices {
      for other in "0123456789abcdefABCXYZ-_ é" {
        var wrong = characters
        wrong[position] = other
        refuses(wrong, "\(other) at \(position)")
        wrong = characters
        wrong.insert(other, at: position)
        // One space at the start is allowed.
        if position > 0 { refuses(wrong, "another \(other) at \(position)") }
      }
      var wrong = characters
      wrong.remove(at: position)
      refuses(wrong, "nothing at \(position)")
      if position > 0 {
        wrong = characters
        wrong.swapAt(position, position - 1)
        refuses(wrong, "swapped at \(position)")
      }
    }
    refuses(characters + characters, "twice")
    refuses(Array("lifeboat-key-1-"), "the beginning")
  }

  @Test(arguments: ["lifeboat-key-2-00ff", "lifeboat-key-12-" + String(repeating: "0", count: 90)])
  func `a key of a newer release is not called a typing error`(text: String) {
    #expect(code { _ = try parsed(text) } == .versionMismatch)
  }

  @Test func `no description, dump or mirror shows a key`() throws {
    let holders: [Any] = [key, [key], (1, key), Result<EncryptionKey, LifeboatError>.success(key)]
    for holder in holders + [secrets, [secrets]] {
      var dumped = ""
      dump(holder, to: &dumped)
      for shown in ["\(holder)", String(reflecting: holder), dumped] {
        #expect(!shown.contains("00010203") && !shown.contains("0, 1, 2"), "\(shown)")
        #expect(!shown.contains("- 31") && !shown.contains("contentKey"), "\(shown)")
      }
    }
  }

  @Test func `a key in the place of a path is recognised, a path is not`() {
    #expect(EncryptionKey.isLikely(EncryptionKeyTests.text))
    #expect(EncryptionKey.isLikely(String(EncryptionKeyTests.text.dropLast(3))))
    for path in ["lifeboat-key-1.txt", "/etc/lifeboat-key-1-prod", "lifeboat-key-1-prod", ""] {
      #expect(!EncryptionKey.isLikely(path))
    }
  }

  /// {encrypted, not} × {a key, none}.
  @Test func `what a key means is decided from the descriptor alone`() throws {
    func descriptor(_ cipher: Descriptor.Cipher) -> Descriptor {
      Descriptor(repository: repository, created: Instant(milliseconds: 0), cipher: cipher)
    }
    #expect(try descriptor(.none).keyToUse(nil, location: "x") == nil)
    #expect(try descriptor(.aes256gcm).keyToUse(key, location: "x") == key)
    #expect(code { _ = try descriptor(.aes256gcm).keyToUse(nil, location: "x") } == .wrongKey)
    #expect(code { _ = try descriptor(.none).keyToUse(key, location: "x") } == .wrongKey)
  }
}
