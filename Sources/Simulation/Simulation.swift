import BackupTypes
import CSimulation
import Glibc

/// `scripts/simulate`: runs worlds, and reports the first that breaks a rule.
@main
struct Simulation {
  private static let usage = """
    usage: simulate [--seeds N] [--from S] [--seed S] [--only ACT,...] [--without FAULT,...]
                    [--twice] [--traces] [--verbose]
                    [--counts FILE] [--keep-going] [--no-shrink] [--break-a-rule]
                    [--keep-bucket DIRECTORY]
    """

  static func main() {
    // Gives sets and dictionaries the same order in every run.
    if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
      setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
      var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
      execv("/proc/self/exe", &arguments)
      fail("can't run again: \(String(cString: strerror(errno)))")
    }
    let options = Options(CommandLine.arguments.dropFirst())
    Machine.isVerbose = options.isVerbose
    Machine.install()
    var counts: [String: Int] = [:]
    var failures = 0
    let begun = csim_real_time()
    var jobs = 0
    for seed in options.from..<options.from + options.seeds {
      var run = Run(seed: seed)
      if let only = options.only { run.acts.removeAll { !only.contains($0.number) } }
      run.without = options.without
      let result = run.run()
      jobs += result.jobs
      counts.merge(result.counts) { $0 + $1 }
      if options.showsTraces { print("trace \(seed) \(result.trace)") }
      if options.isTwice, run.run().trace != result.trace {
        fail("seed \(seed) runs differently each time")
      }
      guard let violation = result.violation else { continue }
      failures += 1
      tell(run, violation, result, shrinks: options.shrinks)
      fflush(nil)
      if !options.keepsGoing { exit(1) }
    }
    let seconds = Double(csim_real_time() - begun) / 1e9
    let rate = Double(options.seeds) / max(seconds, 0.001)
    print(
      "simulate: \(counted(options.seeds, "seed")), \(counted(failures, "failure")), "
        + "\(counted(jobs, "job")), \(Int(seconds)) s, "
        + "\(Int(rate)) a second")
    options.write(counts)
    exit(failures == 0 ? 0 : 1)
  }

  private static func tell(
    _ run: Run, _ violation: Violation, _ result: Run.Result, shrinks: Bool
  ) {
    print("\nsimulate: seed \(run.seed): \(violation.kind)\n  \(violation.detail)")
    print("  trace: \(result.trace)\n  replay: \(replay(run))")
    guard shrinks else { return }
    let shortest = run.shrunk(violation.kind)
    print(
      "  shortest: \(shortest.acts.map(\.description).joined(separator: " "))\n"
        + "  replay: \(replay(shortest)) --verbose")
  }

  static func replay(_ run: Run) -> String {
    var text = "scripts/simulate --seed \(run.seed)"
    if run.acts.count != Act.draw(seed: run.seed).count {
      text += " --only " + run.acts.map { "\($0.number)" }.joined(separator: ",")
    }
    if !run.without.isEmpty {
      text += " --without " + run.without.sorted().joined(separator: ",")
    }
    return text
  }

  static func fail(_ text: String) -> Never {
    print("simulate: \(text)")
    exit(2)
  }

  private struct Options {
    var seeds: UInt64 = 100
    var from: UInt64 = 1
    var only: Set<Int>?
    var without: Set<String> = []
    var isTwice = false
    var showsTraces = false
    var isVerbose = false
    var keepsGoing = false
    var shrinks = true
    var counts: String?

    init(_ arguments: ArraySlice<String>) {
      var left = arguments
      func value() -> String {
        guard let value = left.popFirst() else { Simulation.fail(Simulation.usage) }
        return value
      }
      func number() -> UInt64 {
        guard let number = UInt64(value()) else { Simulation.fail(Simulation.usage) }
        return number
      }
      while let flag = left.popFirst() {
        switch flag {
        case "--seeds": seeds = number()
        case "--from": from = number()
        case "--seed": (from, seeds) = (number(), 1)
        case "--only":
          let text = value()
          only = text == "none" ? [] : Set(text.split(separator: ",").compactMap { Int($0) })
        case "--without": without = Set(value().split(separator: ",").map(String.init))
        case "--twice": isTwice = true
        case "--traces": showsTraces = true
        case "--break-a-rule": World.breaksRule = true
        case "--verbose": isVerbose = true
        case "--keep-going": keepsGoing = true
        case "--no-shrink": shrinks = false
        case "--counts": counts = value()
        case "--keep-bucket": World.keptBucket = value()
        default: Simulation.fail(Simulation.usage)
        }
      }
    }

    /// Writes a line for each kind of event: how often it occurred, and its name.
    func write(_ counts: [String: Int]) {
      guard let path = self.counts else { return }
      guard let file = fopen(path, "w") else { Simulation.fail("can't write \(path)") }
      for (name, count) in counts.sorted(by: { $0.key < $1.key }) {
        fputs("\(count) \(name)\n", file)
      }
      fclose(file)
    }
  }
}
