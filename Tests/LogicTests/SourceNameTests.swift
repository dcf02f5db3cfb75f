import Testing
import WriterLogic

struct SourceNameTests {
  private func named(_ data: String, host: String = "web", in directory: String? = "/srv/app")
    -> SourceName
  {
    SourceName(host: host, data: data, workingDirectory: directory)
  }

  @Test(arguments: ["data", "./data", "data/", "../app/data", "/srv/app/data", "/srv//app/data/."])
  func `a relative and an absolute path are one name`(data: String) {
    let mine = named("/srv/app/data", host: "other")
    #expect(named(data).path == "/srv/app/data")
    #expect(mine.isSame(as: named(data).text, isSameDirectory: false))
    #expect(named(data).isSame(as: mine.text, isSameDirectory: false))
  }

  @Test func `another directory is another name, whatever the host`() {
    #expect(!named("/srv/app/data").isSame(as: "web:/srv/app/data2", isSameDirectory: true))
    #expect(!named("/srv/app/data").isSame(as: "web:/data", isSameDirectory: true))
  }

  @Test func `release 0.1.0 wrote a relative path: the directory's identity says where it led`() {
    let mine = named("/srv/app/data")
    for theirs in ["web:data", "web:./data", "web:app/data", "web:../app/data", "web:."] {
      #expect(!mine.isSame(as: theirs, isSameDirectory: false), "\(theirs)")
    }
    for theirs in ["web:data", "old:./data", "web:app/data", "web:."] {
      #expect(mine.isSame(as: theirs, isSameDirectory: true), "\(theirs)")
    }
    #expect(!mine.isSame(as: "web:other", isSameDirectory: true))
    #expect(named("data").isSame(as: "web:data", isSameDirectory: false), "its own words")
  }

  @Test func `what is written is what release 0.1.0 makes of the same command line`() {
    #expect(named("/srv/app/data/").text == "web:/srv/app/data/")
    #expect(named("data").text == "web:/srv/app/data")
    #expect(named("data").text(after: "web:data") == "web:data", "a rollback goes on")
    #expect(named("data").text(after: "old:data") == "web:/srv/app/data")
    #expect(named("data").text(after: nil) == "web:/srv/app/data")
  }

  @Test func `a name that was given is compared as it is`() {
    let mine = SourceName(given: "prod/redis")
    #expect(mine.isSame(as: "prod/redis", isSameDirectory: false))
    #expect(!mine.isSame(as: "web:/srv/app/data", isSameDirectory: true))
    #expect(!named("/srv/app/data").isSame(as: "prod/redis", isSameDirectory: true))
    #expect(mine.text(after: "prod/redis") == "prod/redis")
  }

  @Test func `where the working directory is not known, a relative path stays`() {
    #expect(named("data", in: nil).text == "web:data")
  }
}
