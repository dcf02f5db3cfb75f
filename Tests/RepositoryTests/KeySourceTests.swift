import BackupFormat
import BackupTypes
import RepositoryAccess
import TestSupport
import Testing

/// Messages about a key depend on where the key is given, and never show it.
@Suite struct KeySourceTests {
  private let folder: TemporaryDirectory
  private let key = EncryptionKey(bytes: Array(0..<32))
  private let other = EncryptionKey(bytes: Array(1..<33))

  init() throws { folder = try TemporaryDirectory("keys") }

  private func file(_ content: String) throws -> String {
    let path = folder("key-\(UInt32.random(in: 0 ... .max))")
    try TestFiles.write(content, to: path)
    return path
  }

  private func failure(_ file: String?, _ value: String?) -> LifeboatError? {
    do throws(LifeboatError) {
      _ = try KeySource(file: file, value: value).read()
      return nil
    } catch {
      return error
    }
  }

  @Test func `a file, the environment, both of them, or none`() throws {
    let path = try file(key.reveal() + "\n")
    #expect(try KeySource(file: path, value: nil).read() == key)
    #expect(try KeySource(file: nil, value: key.reveal()).read() == key)
    #expect(try KeySource(file: path, value: key.reveal() + "\n").read() == key)
    #expect(try KeySource.none.read() == nil)
    #expect(failure(path, other.reveal())?.code == .usage)
  }

  @Test func `what was given and can't be used is an error, never no key`() throws {
    let whole = try file(key.reveal())
    let cases: [(file: String?, value: String?, code: ExitCode, word: String)] = [
      (folder("absent"), nil, .wrongKey, "absent"),
      (folder.path, nil, .wrongKey, "regular file"),
      ("", nil, .wrongKey, "--encryption-key-file is empty"),
      (try file(""), nil, .wrongKey, "is empty"), (try file("\n"), nil, .wrongKey, "is empty"),
      (nil, "", .wrongKey, "LIFEBOAT_ENCRYPTION_KEY is empty"),
      (try file("hunter2"), nil, .usage, "does not begin with"),
      (try file(String(repeating: "x", count: 100_000)), nil, .wrongKey, "can't read"),
      (try file(String(key.reveal().dropLast(2))), nil, .usage, "86 characters"),
      (nil, "hunter2", .usage, "LIFEBOAT_ENCRYPTION_KEY does not contain a key"),
      // A valid key in the other place does not make up for it.
      (whole, "", .wrongKey, "LIFEBOAT_ENCRYPTION_KEY"),
      (whole, "hunter2", .usage, "contain a key"),
      (folder("absent"), key.reveal(), .wrongKey, "absent"),
    ]
    for test in cases {
      let error = try #require(failure(test.file, test.value), "\(test.word): no error")
      #expect(error.code == test.code && error.hint != nil, "\(test.word): \(error)")
      #expect("\(error)".contains(test.word), "\(test.word): \(error)")
      #expect(!"\(error)".contains("hunter2") && !"\(error)".contains("0001020304"), "\(error)")
    }
  }

  @Test func `a key in the place of the file's path is not repeated`() throws {
    let error = try #require(failure(key.reveal(), nil))
    #expect(error.code == .usage && !"\(error)".contains("0001020304"), "\(error)")
    #expect(KeySource(file: key.reveal(), value: nil).warning() == nil)
  }

  @Test func `the file is read again each time`() throws {
    let path = folder("late")
    let source = KeySource(file: path, value: nil)
    #expect(failure(path, nil)?.code == .wrongKey)
    try TestFiles.write(key.reveal() + "\n", to: path)
    #expect(try source.read() == key)
  }

  @Test(arguments: [
    (0o644, 1000, true), (0o604, 1000, true), (0o640, 1000, false), (0o600, 1000, false),
    // The modes with which Kubernetes mounts a Secret.
    (0o644, 0, false), (0o440, 0, false),
  ])
  func `a file that everyone can read is warned about`(
    mode: UInt32, owner: UInt32, isExposed: Bool
  ) {
    #expect(KeySource.isExposed(mode: mode, owner: owner) == isExposed)
  }

  @Test func `no description shows a key`() throws {
    let source = KeySource(file: nil, value: key.reveal())
    var dumped = ""
    dump(source, to: &dumped)
    for shown in ["\(source)", String(reflecting: source), dumped] {
      #expect(!shown.contains("0001020304") && !shown.contains("[0, 1, 2"), "\(shown)")
    }
    #expect(!dumped.contains("- 31"))
  }
}
