import Glibc
import TestSupport
import Testing

/// Phrases that read translated must not come back into anything that a person reads. Decision 0068 lists
/// their replacements.
@Suite struct PlainWordsTests {
  /// Each phrase and its replacement. The phrases are lower case, and so is the text that is searched.
  private static let phrases = [
    (" mended", "fixed"), (" to mend", "to fix"), (" mends ", "fixes "),
    ("be let go", "be released"), ("is let go", "is released"), ("lets it go", "releases it"),
    ("store is away", "the store is unavailable"), ("store that is away", "that is unavailable"),
    ("store was away", "the store was unavailable"), ("bucket that is away", "that is unavailable"),
    ("in good order", "cleanly"), ("orderly end", "clean shutdown"),
    ("first behind it", "the first after it"), ("behind this state", "after this state"),
    ("behind the cut", "after the cut"), ("behind the full copy", "after the full copy"),
    ("takes objects away", "expires objects"), ("take our objects away", "expire our objects"),
    ("=true away", "remove ?anonymous=true"), ("\"a generation is", "uploaded FILE"),
    ("an end was asked for", "stopping"), ("to a ready directory", "restore time"),
    ("can't be told", "it is not known"), ("counts as a number only", "its number is skipped"),
    ("what backups count on", "what backups need"), ("on the way to", "in between"),
    ("see to it that", "make sure that"), ("with leave to", "with permission to"),
    ("goes by a dump", "its primary is a dump"), ("goes by an aof", "its primary is an AOF"),
    ("wait for its end,", "wait until it has finished"), ("is at work in", "is running in"),
    ("of worth", "needed"), ("laid down", "written"), ("lays down", "writes"),
    (" anew", "again"), ("contradicts itself", "is inconsistent"),
    ("its name says all", "its name is enough"), ("is paid for", "costs money"),
    ("what was there is in", "the files that were there"), ("says that it is snapshot", "contains"),
    ("one half of the", "half of the"), ("stands still", "stalled"),
    ("not the json that was expected", "not the expected JSON"),
    ("nothing can be shipped until this is fixed", "shipping is blocked"),
    ("what one sees", "what you see"), ("one sees", "you see"),
    (" passes it, and", "skips it, and"), ("no lifeboat does that", "Lifeboat never writes this"),
    ("its time is over", "it has expired"), ("how to go on", "it has no continuation token"),
    ("were told that they won", "succeeded"), ("the way there is safe", "the network is trusted"),
    ("apply as ever", "apply as usual"), ("policy lets go", "old restore points"),
    ("let them go on", "resume them"), ("gone is gone", "can't be recovered"),
    ("keeps what it has", "is append-only"), ("the way back](", "recovery"),
    ("the access away from", "revoke the access of"),
    ("**in kubernetes, looked at first", "checked"),
    ("behind the copy", "after the copy"), ("behind the end of", "after the end of"),
    ("behind a command", "after a command"), ("of what can't be read", "records can't be read"),
    ("judge what was restored", "check what was restored"),
    ("whole state before", "complete state"),
    ("goes on by itself", "continues by itself"), ("is no replica", "is not a replica"),
  ]

  /// What a user, an operator or a developer reads. Decision records are history and keep their words. This
  /// list is in `Tests`, which is not searched.
  private func files() -> [String] {
    let folders = ["Sources", "docs", "deploy"].flatMap { folder in
      TestFiles.tree(Checkout.root + "/" + folder).map { folder + "/" + $0 }
    }
    return ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
      + folders.filter { !$0.hasPrefix("docs/decisions/") && !$0.hasSuffix(".png") }
  }

  private static let nouns: Set<Substring> = [
    "bytes", "keys", "objects", "files", "pins", "snapshots", "timelines", "records", "pieces",
    "dumps",
    "windows", "points", "jobs", "databases", "elements", "commands", "values", "entries",
    "findings",
    "segments", "spans", "warnings", "characters", "copies", "generations", "inodes", "requests",
    "pages",
    "rows", "claims", "marks", "fields", "branches", "actors", "nodes", "drills", "events", "gaps",
    "ones",
    "seeds", "failures", "days", "hours", "minutes", "seconds",
  ]
  private static let adjectives: Set<Substring> = [
    "more", "older", "earlier", "deleted", "log", "foreign", "free", "other", "new", "full", "such",
    "unexpected", "missing",
  ]

  /// The counts in a line that are followed by a fixed plural noun. A limit, which its type's name shows, is
  /// never 1.
  private func fixedPlurals(_ line: Substring) -> [Substring] {
    var (found, rest): ([Substring], Substring) = ([], line)
    while let start = rest.firstRange(of: "\\(") {
      rest = rest[start.upperBound...]
      var depth = 1
      let end = rest.firstIndex { character in
        depth += character == "(" ? 1 : character == ")" ? -1 : 0
        return depth == 0
      }
      guard let end else { break }
      let (count, after) = (rest[..<end], rest[end...].dropFirst())
      if count.first?.isUppercase == true || count.hasPrefix("counted(") || after.first != " "
        || after.dropFirst().first?.isLetter != true
      {
        continue
      }
      var words = after.dropFirst().split { !$0.isLetter }.prefix(2)
      if words.first.map(Self.adjectives.contains) == true { words = words.dropFirst() }
      if let noun = words.first, Self.nouns.contains(noun) { found.append(noun) }
    }
    return found
  }

  @Test func `a count and its noun agree, also for one`() throws {
    #expect(fixedPlurals(#"and \(list.count - 1) more files of"#) == ["files"])
    #expect(fixedPlurals(#"\(counted(n, "key")) keys, at most \(Bounds.pins) pins"#) == [])
    for file in files() where file.hasSuffix(".swift") && !file.contains("/TestSupport/") {
      let text = try TestFiles.text(Checkout.root + "/" + file)
      for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
        .enumerated()
      where strstr(String(line), "\\(") != nil && !line.contains("precondition(") {
        for noun in fixedPlurals(line) where !line.drop(while: { $0 == " " }).hasPrefix("//") {
          Issue.record("\(file):\(number + 1): \(noun): use counted(_:_:): \(line)")
        }
      }
    }
  }

  @Test func `no page, message or comment has a phrase that reads translated`() throws {
    let files = files()
    #expect(files.count > 300, "the files are not where they were")
    for file in files {
      let text = try TestFiles.text(Checkout.root + "/" + file).lowercased()
      // Searches whole files in C. A search by line and phrase takes minutes in a debug build.
      for (phrase, instead) in Self.phrases where strstr(text, phrase) != nil {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
          .enumerated()
        where line.contains(phrase) {
          Issue.record("\(file):\(number + 1): \"\(phrase)\", write \"\(instead)\": \(line)")
        }
      }
    }
  }
}
