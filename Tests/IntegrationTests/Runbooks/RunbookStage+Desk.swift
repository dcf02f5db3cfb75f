import TestSupport
import Testing

extension RunbookStage {
  struct Ran: CustomStringConvertible {
    var line: RunbookLine
    var code: Int32?
    var text: String
    var description: String { "\(line)\n\(code.map { "exit \($0)" } ?? "a signal")\n\(text)" }
  }

  /// Runs every line of a page's code blocks in order. Each has to end as the page says.
  func perform(_ page: String) async throws -> [Ran] {
    var done: [Ran] = []
    for line in try RunbookLine.all(of: page) {
      guard let form = RunbookForm(line.text) else { throw HarnessError("unknown: \(line)") }
      let ran = try await run(line, form, points: done.flatMap { RunbookStage.points($0.text) })
      try #require(ran.code == line.exit, "\(ran)\n\(ship?.errorText ?? "")")
      done.append(ran)
    }
    try #require(!done.isEmpty)
    return done
  }

  private func run(_ line: RunbookLine, _ form: RunbookForm, points: [String]) async throws -> Ran {
    var ran = Ran(line: line, code: 0, text: "")
    switch form {
    case .shell(let text):
      (ran.code, ran.text) = try await shell(local(text, points))
    case .pod(let text):
      (ran.code, ran.text) = try await shell(local(text, points), environment)
    case .handOver(let text):
      if server != nil {
        let busy = try await shell(local(text, points))
        #expect(busy.code == 6 && busy.text.contains("in use"), "\(line): \(busy)")
        try await stop()
      }
      (ran.code, ran.text) = try await shell(local(text, points))
      try await start()
      try await write()
    case .secondServer(let directory):
      second = try await RedisServer.start(
        .v7_0, directory: local(directory, points), options: ["appendonly": "yes", "save": ""])
      try writeClient()
    case .cluster(let action):
      try await perform(action)
    case .clusterOnly:
      break
    }
    return ran
  }

  private func perform(_ action: RunbookForm.Action) async throws {
    switch action {
    case .stop: try await stop()
    case .start:
      // A changed ConfigMap has no effect on a running pod until its next start.
      guard server == nil else { break }
      try await start()
      try await write()
    case .restart:
      try await stop()
      try await start()
    case .deleteClaim: try loseClaim()
    case .recover:
      let result = try await LifeboatCommand.run(
        ["restore", "--data", try place.folder.makeDirectory("redis-data-restored-1")],
        environment: environment)
      #expect(result.exitCode == 0, "\(result)")
    case .useRecovered: claim = place.folder("redis-data-restored-1")
    case .ready: try #require(server != nil, "Redis does not run")
    case .secret(let file): try setSecret(try TestFiles.text(desk + "/" + file))
    case .repository(let base):
      // The pod's repository is its name below that.
      repository = try local(base, []) + "/redis-0"
      try TestFiles.makeDirectory(repository)
    }
  }

  /// Replaces the paths, points and times of a page by those of this stage.
  private func local(_ text: String, _ points: [String]) throws -> String {
    var text = text
    for name in ["restored", "replaced", "before", "after", "trial"] {
      text = text.replacing(" /\(name)", with: " \(desk)/\(name)")
      if text.hasPrefix("/\(name)") { text = desk + text }
    }
    text = text.replacing(" /data", with: " \(claim)")
    for (example, value) in examples { text = text.replacing(example, with: value) }
    if text.contains("s3://my-bucket/my-cluster/redis/new") {
      text = text.replacing(
        "s3://my-bucket/my-cluster/redis/new", with: try place.folder.makeDirectory("new-prefix"))
    }
    // A Secret that only a cluster has, and that the person on call can read.
    if let secret {
      text = text.replacing(
        "kubectl get secret lifeboat-key -o jsonpath='{.data.key}'", with: "base64 \(secret)")
    }
    for (index, name) in [(0, "POINT"), (0, "BEFORE"), (1, "AFTER")] {
      guard text.hasSuffix("--point \(name)") else { continue }
      try #require(index < points.count, "nothing printed a point: \(text)")
      text = text.replacing("--point \(name)", with: "--point \(points[index])")
    }
    return text
  }

  /// The points that a person would copy: the words after `--point`.
  static func points(_ text: String) -> [String] {
    let words = text.split { $0 == " " || $0 == "\n" }
    return zip(words, words.dropFirst()).filter { $0.0 == "--point" }.map { String($0.1) }
  }

  private func shell(_ text: String, _ more: [String: String] = [:]) async throws -> (
    code: Int32?, text: String
  ) {
    lines += 1
    let files = place.folder("line-\(lines)")
    let folder = LifeboatCommand.path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    var environment = ChildProcess.minimalEnvironment.merging(more) { $1 }
    environment["PATH"] = [place.folder("bin"), folder, environment["PATH"] ?? "/usr/bin:/bin"]
      .joined(separator: ":")
    environment["REPO"] = repository
    let process = try ChildProcess(
      "/bin/sh", ["-e", "-c", text], environment: environment, directory: desk,
      output: .file(files + ".out"), errors: .file(files + ".err"))
    try await eventually(
      deadline: 40, "the end of \(text)", condition: { !process.isRunning },
      state: { ship?.errorText ?? "" })
    let printed = try TestFiles.text(files + ".out") + TestFiles.text(files + ".err")
    guard case .exited(let code)? = process.end else { return (nil, printed) }
    return (code, printed)
  }

  /// A `redis-cli` that reaches the servers of this stage, which only listen on Unix sockets.
  func writeClient() throws {
    let script = """
      #!/bin/sh
      if [ "$1" = -p ]; then shift 2; exec \(client) -s '\(second?.socket ?? "none")' "$@"; fi
      exec \(client) -s '\(server?.socket ?? "none")' "$@"

      """
    try TestFiles.write(Array(script.utf8), to: place.folder("bin/redis-cli"), permissions: 0o755)
  }
}
