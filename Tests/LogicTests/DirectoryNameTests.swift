import Testing
import WriterLogic

struct DirectoryNameTests {
  private static let (one, two) = ("00000000000000a1", "00000000000000b2")

  @Test(arguments: [
    "f5ff0000dbf56300:253853:1790000000.123456789", "0000000000000000:2", "00000000000000a1:7:0.0",
  ])
  func `reads what it writes`(text: String) throws {
    #expect(try #require(DirectoryName(text)).description == text)
  }

  @Test(arguments: [
    "", "d", "a:b", "00000000000000a1", "00000000000000a1:x", "00000000000000a1:1:2",
    "00000000000000a1:1:2.3:4", "00000000000000a1:-1", "0a1:5",
  ])
  func `anything else is no name`(text: String) { #expect(DirectoryName(text) == nil) }

  struct Row: Sendable {
    var rule: String
    var mine: String
    var theirs: String
    var isStable = true
    var relation: DirectoryName.Relation
  }

  static let rows = [
    Row(
      rule: "inode and birth, on another device", mine: "\(one):7:100.5", theirs: "\(two):7:100.5",
      relation: .same),
    Row(
      rule: "another birth: a new directory in the place of the old one", mine: "\(one):7:100.5",
      theirs: "\(one):7:100.6", relation: .other),
    Row(
      rule: "another inode", mine: "\(one):7:100.5", theirs: "\(one):8:100.5", relation: .other),
    Row(
      rule: "two volumes made in one second", mine: "\(one):2:100.0", theirs: "\(two):2:100.0",
      relation: .unknown),
    Row(
      rule: "a root directory, the same file system", mine: "\(one):2:100.0",
      theirs: "\(one):2:100.0", relation: .same),
    Row(
      rule: "no birth, the same file system", mine: "\(one):7", theirs: "\(one):7", relation: .same),
    Row(
      rule: "no birth, another file system", mine: "\(one):7", theirs: "\(two):7", relation: .other),
    Row(
      rule: "the epoch is no birth", mine: "\(one):7:0.0", theirs: "\(two):7:0.0", relation: .other),
    Row(
      rule: "no birth on NFS: every export has such a directory", mine: "0000000000000000:64",
      theirs: "0000000000000000:64", relation: .unknown),
    Row(
      rule: "no birth, inodes that change", mine: "\(one):7", theirs: "\(one):7", isStable: false,
      relation: .unknown),
    Row(
      rule: "another inode where inodes change", mine: "\(one):7:100.5", theirs: "\(one):8:100.5",
      isStable: false, relation: .unknown),
    Row(
      rule: "a birth where inodes change", mine: "\(one):7:100.5", theirs: "\(one):7:100.5",
      isStable: false, relation: .same),
    Row(
      rule: "a birth on one side", mine: "\(one):7:100.5", theirs: "\(one):7", relation: .unknown),
  ]

  @Test(arguments: rows.indices) func `each rule`(_ number: Int) throws {
    let row = DirectoryNameTests.rows[number]
    let mine = try #require(DirectoryName(row.mine))
    let theirs = try #require(DirectoryName(row.theirs))
    #expect(mine.relation(to: theirs, isStable: row.isStable) == row.relation, "\(row.rule)")
  }
}
