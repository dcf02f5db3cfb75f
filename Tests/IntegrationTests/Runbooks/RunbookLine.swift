import TestSupport

/// A line of a runbook's code blocks, and its documented exit code.
struct RunbookLine: CustomStringConvertible {
  /// The file below docs/operations.
  var page: String
  var text: String
  /// The code of the comment `# exit N`; 0 without one.
  var exit: Int32

  var description: String { "docs/operations/\(page): \(text)" }

  /// The lines of a page's code blocks. A page has no other commands.
  static func all(of page: String) throws -> [RunbookLine] {
    var lines: [RunbookLine] = []
    var isCode = false
    let text = try TestFiles.text(Checkout.root + "/docs/operations/" + page)
    for line in text.split(separator: "\n") {
      if line.hasPrefix("```") {
        guard isCode || line == "```sh" else { throw HarnessError("\(page): a block \(line)") }
        isCode.toggle()
        continue
      }
      if isCode { lines.append(RunbookLine(page, String(line))) }
    }
    return lines
  }

  /// The pages without an alert, which are found by symptom, including the index.
  static var bySymptom: [String] { pages.filter { !$0.hasPrefix("Lifeboat") } }
  static var pages: [String] { TestFiles.list(Checkout.root + "/docs/operations") }

  private init(_ page: String, _ line: String) {
    self.page = page
    let remark = line.firstRange(of: "  # ")
    text = remark.map { String(line[..<$0.lowerBound]) } ?? line
    let words = remark.map { line[$0.upperBound...].split(separator: " ") } ?? []
    exit = words.count > 1 && words[0] == "exit" ? Int32(words[1]) ?? 0 : 0
  }
}

/// How a test runs a line. A line with another form fails the test, because nobody would ever have run it.
enum RunbookForm: Equatable {
  /// Runs unchanged, on the machine of the person on call.
  case shell(String)
  /// Runs in the pod, with its environment.
  case pod(String)
  /// A restore into Redis's own directory. It is first tried while Redis is running, and then done while it
  /// is stopped.
  case handOver(String)
  /// A second server beside Redis.
  case secondServer(directory: String)
  /// The test does what Kubernetes would do.
  case cluster(Action)
  /// Only a cluster can run it. The test only checks that what it names exists in deploy/.
  case clusterOnly(String)

  enum Action: Equatable {
    case stop, start, restart, deleteClaim, recover, useRecovered, ready
    case secret(file: String)
    case repository(url: String)
  }

  /// The start of each line that only a cluster can run.
  static let clusterOnly = [
    "kubectl get ", "kubectl describe ", "kubectl logs ", "kubectl wait --for=delete pod/",
    "kubectl wait --for=condition=complete job/", "kubectl delete pod -l ray.io/cluster=",
    "kubectl create job --from=cronjob/", "argocd app set redis --sync-policy ",
  ]
  /// The commands that a shell runs here: Lifeboat, Redis's tools, commands that make or move a directory,
  /// and bucket clients.
  private static let shell = [
    "lifeboat ", "redis-cli ", "mkdir /", "mv /", "(umask 077; ", "aws s3api ", "awk ", "wc ",
    "rclone copy ",
  ]

  init?(_ text: String) {
    let pod = [
      "kubectl exec redis-0 -c lifeboat-ship -- ", "kubectl exec redis-0 -c redis -- ",
      "kubectl exec deployment/lifeboat-replica -- ",
    ]
    if let way = pod.first(where: text.hasPrefix) {
      guard case .shell(let rest)? = RunbookForm(String(text.dropFirst(way.count))) else {
        return nil
      }
      self = .pod(rest)
    } else if text.hasPrefix("lifeboat restore "), text.contains("--data /data ") {
      self = .handOver(text)
    } else if RunbookForm.shell.contains(where: text.hasPrefix) {
      self = .shell(text)
    } else if let directory = RunbookForm.between(
      "redis-server --dir ", " --appendonly yes --save '' --port 6390 &", text)
    {
      self = .secondServer(directory: directory)
    } else if let action = Action(text) {
      self = .cluster(action)
    } else if RunbookForm.clusterOnly.contains(where: text.hasPrefix) {
      self = .clusterOnly(text)
    } else {
      return nil
    }
  }

  fileprivate static func between(_ start: String, _ end: String, _ text: String) -> String? {
    guard text.hasPrefix(start), text.hasSuffix(end) else { return nil }
    return String(text.dropFirst(start.count).dropLast(end.count))
  }
}

extension RunbookForm.Action {
  fileprivate init?(_ text: String) {
    let secret = "kubectl create secret generic lifeboat-key --from-file=key="
    let applied = " --dry-run=client -o yaml | kubectl apply -f -"
    let manifest = "deploy/kuberay/ray-cluster.persistent-redis.yaml"
    let settings = "sed -i 's|LIFEBOAT_REPO_BASE: .*|LIFEBOAT_REPO_BASE: "
    let claim =
      "sed -i 's/claimName: redis-data.*/claimName: redis-data-restored-1/' " + manifest
    switch text {
    case "kubectl scale statefulset redis --replicas 0": self = .stop
    case "kubectl apply -f " + manifest: self = .start
    case "kubectl delete pod redis-0": self = .restart
    case "kubectl delete pvc redis-data": self = .deleteClaim
    case "kubectl apply -k deploy/disaster-recovery": self = .recover
    case claim: self = .useRecovered
    case "kubectl wait --for=condition=ready pod/redis-0 --timeout=600s": self = .ready
    default:
      if let file = RunbookForm.between(secret, applied, text) {
        self = .secret(file: file)
      } else if let url = RunbookForm.between(settings, "|' " + manifest, text) {
        self = .repository(url: url)
      } else {
        return nil
      }
    }
  }
}
