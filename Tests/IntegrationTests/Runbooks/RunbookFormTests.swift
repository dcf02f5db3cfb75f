import TestSupport
import Testing

/// Checks the text of the runbooks without running the commands.
struct RunbookFormTests {
  @Test func `every symptom has a stage, and is in the index`() throws {
    let tested = [
      "README.md", "account-lost.md", "between-windows.md", "bucket-emptied.md", "bucket-grows.md",
      "damaged.md",
      "empty-backups.md",
      "flushed.md", "key-leaked.md", "key-lost.md", "ray-cluster-deleted.md", "volume-lost.md",
      "wrong-restore.md",
    ]
    #expect(RunbookLine.bySymptom == tested)
    let index = try TestFiles.text(Checkout.root + "/docs/operations/README.md")
    for page in RunbookLine.pages where page != "README.md" {
      #expect(index.contains("(\(page))"), "\(page)")
      let text = try TestFiles.text(Checkout.root + "/docs/operations/" + page)
      for section in ["Check", "Act", "Verify"] {
        #expect(text.contains("\n## \(section)\n"), "\(page)")
      }
    }
  }

  @Test func `no line is of an unknown form, and what a cluster's lines name exists`() throws {
    let manifests = try TestFiles.tree(Checkout.root + "/deploy").filter { $0.hasSuffix(".yaml") }
      .map { try TestFiles.text(Checkout.root + "/deploy/" + $0) }.joined()
    for page in RunbookLine.pages {
      let lines = try RunbookLine.all(of: page)
      // Jobs that the page itself creates.
      let created = lines.filter { $0.text.hasPrefix("kubectl create job ") }
        .compactMap { $0.text.split(separator: " ").last }
      for line in lines {
        let form = try #require(RunbookForm(line.text), "\(line)")
        guard case .clusterOnly(let text) = form else { continue }
        let words = text.split(separator: " ").map(String.init)
        for (word, next) in zip(words, words.dropFirst() + [""]) {
          var name: String?
          switch word {
          case "-c": name = "name: \(next)\n"
          case "-l": name = next.replacing("ray.io/cluster=", with: "name: ") + "\n"
          case "-f", "-k": #expect(TestFiles.exists(Checkout.root + "/" + next), "\(line)")
          default:
            if let start = word.firstRange(of: "cronjob/") ?? word.firstRange(of: "job/"),
              word[start.upperBound...] != "JOB", !created.contains(word[start.upperBound...])
            {
              name = "name: \(word[start.upperBound...])\n"
            }
          }
          if let name { #expect(manifests.contains(name), "\(line)") }
        }
      }
    }
  }
}
