import Auditing
import BackupFormat
package import BackupTypes
package import ObjectStorage

/// The metrics of a running shipper in Prometheus's text format (version 0.0.4). Pure.
///
/// A metric whose value is not known is absent, not 0. Names are a contract: `docs/metrics.md`.
package struct MetricsPage: Sendable {
  package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  package var status: ShipStatus.Value
  package var store: StoreStatistics.Value
  /// The version of the running release.
  package var version: String
  package var now: Instant

  package init(
    status: ShipStatus.Value, store: StoreStatistics.Value, version: String, now: Instant
  ) {
    self.status = status
    self.store = store
    self.version = version
    self.now = now
  }

  package enum Kind: String, Sendable { case gauge, counter }

  package struct Sample: Sendable, Equatable {
    package var labels: [(name: String, value: String)] = []
    package var value: String
    package static func == (one: Sample, other: Sample) -> Bool { one.line("x") == other.line("x") }

    func line(_ name: String) -> String {
      guard !labels.isEmpty else { return "\(name) \(value)\n" }
      let text = labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",")
      return "\(name){\(text)} \(value)\n"
    }

    private func escaped(_ text: String) -> String {
      var result = ""
      for character in text {
        switch character {
        case "\\": result += "\\\\"
        case "\"": result += "\\\""
        case "\n": result += "\\n"
        default: result.append(character)
        }
      }
      return result
    }
  }

  package struct Metric: Sendable {
    package var name: String
    package var kind: Kind
    package var help: String
    package var samples: [Sample]
  }

  /// Every metric, including those without a sample at the moment.
  package var metrics: [Metric] {
    durability + history + link + requests
      + [
        gauge(
          "lifeboat_build_info", "The running release; always 1.",
          [Sample(labels: [("version", version)], value: "1")])
      ]
  }

  package var text: String {
    metrics.filter { !$0.samples.isEmpty }.map { metric in
      "# HELP \(metric.name) \(metric.help)\n# TYPE \(metric.name) \(metric.kind.rawValue)\n"
        + metric.samples.map { $0.line(metric.name) }.joined()
    }.joined()
  }

  // MARK: The groups

  private var durability: [Metric] {
    [
      gauge(
        "lifeboat_log_lag_seconds",
        "Age of the oldest byte of the log on disk that is not backed up; 0 if everything is.",
        seconds(age(status.logSince))),
      gauge(
        "lifeboat_generation_lag_seconds",
        "Age of the oldest dump or BASE that is waiting to be uploaded; 0 if there is none.",
        seconds(age(status.generationSince))),
      gauge(
        "lifeboat_unshipped_bytes", "Bytes on disk that are not backed up.",
        number(status.unshippedBytes)),
      gauge(
        "lifeboat_pinned_bytes",
        "Bytes of files that Redis replaced, kept open until they are uploaded.",
        number(status.pinnedBytes)),
      gauge(
        "lifeboat_state", "1 for the current state of the shipper, 0 for the others.",
        ShipStatus.State.allCases.map {
          Sample(
            labels: [("state", $0.rawValue)], value: $0 == status.state ? "1" : "0")
        }),
      Metric(
        name: "lifeboat_shipped_bytes_total", kind: .counter,
        help: "Bytes of Redis's files that this process uploaded, before compression.",
        samples: [
          Sample(labels: [("kind", "log")], value: "\(status.logBytes)"),
          Sample(labels: [("kind", "generation")], value: "\(status.generationBytes)"),
        ]),
    ]
  }

  private var history: [Metric] {
    [
      gauge(
        "lifeboat_recoverable_from_timestamp_seconds", "The first restore point.",
        timestamp(status.recoverableFrom)),
      gauge(
        "lifeboat_recoverable_to_timestamp_seconds", "The newest restore point.",
        timestamp(status.recoverableTo)),
      gauge(
        "lifeboat_suspect",
        "1 while the newest state may be the result of an accident and is not accepted (lifeboat unpin), else 0.",
        number(status.isSuspect ? 1 : 0)),
      gauge("lifeboat_pins", "The shrink guard's pins in force.", number(UInt64(status.pins))),
      gauge(
        "lifeboat_audit_timestamp_seconds",
        "When an audit last confirmed that everything on disk is backed up.",
        timestamp(status.audit?.coveredAt)),
      gauge(
        "lifeboat_data_present",
        "1 if the data directory holds anything that a server would load, else 0.",
        status.audit?.holdsData.map { number($0 ? 1 : 0) } ?? []),
      gauge(
        "lifeboat_dump_timestamp_seconds", "The content time of the newest dump that is backed up.",
        timestamp(status.dumpAt)),
      gauge(
        "lifeboat_prune_last_success_timestamp_seconds",
        "When this process last applied the retention policy without an error.",
        timestamp(status.pruned)),
    ] + drill
  }

  /// The metrics of the last drill in the repository.
  private var drill: [Metric] {
    let drill = status.drill
    return [
      gauge(
        "lifeboat_drill_timestamp_seconds", "When the last drill began.", timestamp(drill?.at)),
      gauge(
        "lifeboat_drill_success", "1 if the last drill passed, else 0.",
        drill.map { number($0.isPassed ? 1 : 0) } ?? []),
      gauge(
        "lifeboat_drill_restore_seconds",
        "Duration of the last drill, from its first request until the server had loaded the data.",
        drill.map { seconds($0.restoreMilliseconds &+ $0.loadMilliseconds) } ?? []),
    ]
  }

  private var link: [Metric] {
    let link = status.link
    return [
      gauge(
        "lifeboat_link_up", "1 while the replication link is up, else 0.",
        link.map { number($0.isUp ? 1 : 0) } ?? []),
      Metric(
        name: "lifeboat_link_full_copies_total", kind: .counter,
        help: "Full copies that the server began to send. Each is a fork of the server.",
        samples: link.map {
          [
            Sample(labels: [("kind", "needed")], value: "\($0.neededCopies)"),
            Sample(labels: [("kind", "newer")], value: "\($0.newerCopies)"),
          ]
        } ?? []),
    ]
  }

  private var requests: [Metric] {
    let calls = store.calls.sorted {
      ($0.key.operation.rawValue, $0.key.result.rawValue)
        < ($1.key.operation.rawValue, $1.key.result.rawValue)
    }
    return [
      Metric(
        name: "lifeboat_store_requests_total", kind: .counter,
        help: "Requests to the store, counting every retry.",
        samples: calls.map {
          Sample(
            labels: [
              ("operation", $0.key.operation.rawValue), ("result", $0.key.result.rawValue),
            ], value: "\($0.value)")
        }),
      gauge(
        "lifeboat_store_last_success_timestamp_seconds",
        "When a request to the store last succeeded.",
        timestamp(store.lastSuccess)),
    ]
  }

  // MARK: Values

  private func gauge(_ name: String, _ help: String, _ samples: [Sample]) -> Metric {
    Metric(name: name, kind: .gauge, help: help, samples: samples)
  }
  private func number(_ value: UInt64) -> [Sample] { [Sample(value: "\(value)")] }
  private func age(_ since: Instant?) -> Int64 { since.map { max(0, now.since($0)) } ?? 0 }
  private func seconds(_ milliseconds: Int64) -> [Sample] {
    [Sample(value: decimal(milliseconds))]
  }
  private func timestamp(_ instant: Instant?) -> [Sample] {
    instant.map { [Sample(value: decimal($0.milliseconds))] } ?? []
  }

  /// Seconds with three decimals.
  private func decimal(_ milliseconds: Int64) -> String {
    let fraction = String(milliseconds.magnitude % 1000)
    let padded = String(repeating: "0", count: 3 - fraction.count) + fraction
    return "\(milliseconds / 1000).\(padded)"
  }
}
