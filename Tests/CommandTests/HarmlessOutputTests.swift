import TestSupport
import Testing

@testable import lifeboat

/// Text from a bucket or a mistyped command line can't control a terminal, and no secret is shown.
@Suite struct HarmlessOutputTests {
  @Test func `nothing commands a terminal, and text stays text`() {
    func shown(_ text: String) -> String {
      Console.harmless(text) { "<" + String($0, radix: 16) + ">" }
    }
    #expect(shown("plain é ─ 日本\n\tline\r") == "plain é ─ 日本\n\tline\r")
    #expect(shown("a\u{1b}[2Jb\u{9b}31mc\u{7}\u{7f}") == "a<1b>[2Jb<9b>31mc<7><7f>")
    #expect(shown("\u{202e}abc\u{2066}\u{0}") == "<202e>abc<2066><0>")
  }

  private static let secret =
    "lifeboat-key-1-000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f-12345678"

  @Test(arguments: [
    ["list", "--repo", "/tmp/x", secret], [secret], ["list", "--encryption-key=" + secret],
    ["list", "--repo", "/tmp/x", "--unknown=" + secret], ["prune", "--keep-within", secret],
    ["list", "--repo", "s3://KEY:\(secret)@bucket/p"], ["list", "--repo", "s3://b/p?x=" + secret],
    ["list", "--repo", "https://u:\(secret)@h/p"],
  ])
  func `a secret in a wrong argument is not repeated`(arguments: [String]) async throws {
    let result = try await LifeboatCommand.run(arguments)
    #expect(result.exitCode == 2, "\(arguments)")
    #expect(!result.errorText.contains("0a0b0c0d"), "\(result)")
  }

  @Test func `a wrong option and a wrong number are`() async throws {
    let option = try await LifeboatCommand.run(["list", "--repo", "/tmp/x", "--jsn"])
    #expect(option.errorText.contains("--jsn"), "\(option)")
    let number = try await LifeboatCommand.run(["prune", "--repo", "/tmp/x", "--keep-within", "5x"])
    #expect(number.errorText.contains("5x"), "\(number)")
  }
}
