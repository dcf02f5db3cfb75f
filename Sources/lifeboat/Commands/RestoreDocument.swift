import BackupFormat
import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess

/// What a restore did, or would do.
struct RestoreDocument: Encodable {
  struct File: Encodable {
    var path: String
    var bytes: UInt64
  }
  struct Cut: Encodable {
    struct Mark: Encodable {
      var point: String
      var at: String
    }
    struct Command: Encodable {
      var name: String
      /// The first argument; for most commands this is the key.
      var argument: String?
      var seenAt: String
    }
    var precision: String
    /// The annotation at the cut: the commands after it belong to this second.
    var nextSecond: String?
    var markBefore: Mark?
    var markBehind: Mark?
    var lastKept: Command?
    var firstLeftOut: Command?
  }

  /// The log after the state was durable and is missing now.
  struct Lost: Encodable {
    var timeline: Int
    var ordinal: Int
    var file: String
    var from: UInt64
    var to: UInt64
    var object: String
    /// Writes between these times are missing.
    var since: String
    var until: String
  }

  /// What was backed up after the state and needs a damaged full copy.
  struct LostCopy: Encodable {
    var generation: String
    var since: String
    var until: String
  }

  /// The result for an interrupted restore, if one was found.
  struct Interrupted: Encodable {
    var result: String
    var point: String?
    var reason: String?
    var movedAside: String?
  }

  var result: String
  var directory: String
  var point: String?
  var instant: String?
  var primary: String?
  var loadsWithAppendonlyYes: String?
  var loadsWithAppendonlyNo: String?
  /// Which server wrote the full copy, and the oldest that loads it, by its version.
  var server: String?
  var oldestServer: String?
  var files: [File]?
  var bytes: UInt64?
  var requests: Int?
  var movedAside: String?
  /// For a plan: the log around the cut.
  var cut: Cut?
  var lost: Lost?
  var lostCopy: LostCopy?
  /// Log whose BASE never became durable, from an interrupted first ship.
  var unfinished: UnfinishedDocument?
  var warnings: [String]?
  var interrupted: Interrupted?
  private var reason: String?

  private enum CodingKeys: String, CodingKey {
    case result, directory, point, instant, primary, loadsWithAppendonlyYes, loadsWithAppendonlyNo
    case server, oldestServer, files, bytes, requests, movedAside, cut, lost, lostCopy, unfinished,
      warnings,
      interrupted
  }

  init(_ report: Restorer.Report, data: String) {
    directory = data
    interrupted = report.interrupted.map {
      Interrupted(
        result: $0.result.rawValue, point: $0.point.map { printable($0, limit: 80) },
        reason: $0.reason, movedAside: $0.movedAside)
    }
    switch report.outcome {
    case .restored(let plan, let aside):
      result = "restored"
      movedAside = aside
      fill(plan)
    case .planned(let plan):
      result = "planned"
      fill(plan)
    case .dataPresent(let what, let warnings):
      result = "data-present"
      reason = what
      if !warnings.isEmpty { self.warnings = warnings }
    case .noBackup: result = "no-backup"
    case .neverCompleted(let log, let command):
      result = "never-completed"
      unfinished = UnfinishedDocument(log)
      warnings = [
        "timeline \(log.timeline) has \(log.text) of log, but its BASE was never uploaded: the first ship "
          + "was interrupted. If Redis started with no keys when that log began, `\(command)` restores it"
      ]
    case .finished(let id):
      result = "finished"
      point = id
    }
  }

  private mutating func fill(_ plan: RestorePlan) {
    point = plan.point.id
    instant = plan.point.instant.description
    primary = plan.point.primary.rawValue
    loadsWithAppendonlyYes = plan.loadsWithYes?.description
    loadsWithAppendonlyNo = plan.loadsWithNo?.description
    server = plan.dataset?.server.map { printable($0, limit: 40) }
    oldestServer = plan.dataset?.oldestServer
    files = plan.files.map { File(path: $0.path, bytes: $0.size) }
    bytes = plan.bytes
    requests = plan.requests
    cut = plan.surroundings.map { Cut($0, of: plan.point) }
    lost = plan.loss.map {
      Lost(
        timeline: $0.timeline.value, ordinal: $0.ordinal, file: printable($0.file), from: $0.from,
        to: $0.to, object: $0.object, since: $0.since.description, until: $0.until.description)
    }
    lostCopy = plan.point.lostCopy.map {
      LostCopy(
        generation: $0.generation.description, since: $0.since.description,
        until: $0.until.description)
    }
    warnings = plan.warnings
  }

  var text: String {
    switch result {
    case "data-present":
      return "\(directory) already holds data (\(reason ?? "")): nothing to do\n" + warningText
    case "no-backup": return "this repository never had a backup: nothing to restore\n"
    case "never-completed":
      return "no backup was ever completed in this repository: nothing to restore\n" + warningText
    case "finished": return "finished the interrupted restore of \(point ?? "") into \(directory)\n"
    default: break
    }
    var text =
      result == "planned"
      ? "would restore \(point!) of \(instant!) into \(directory)\n"
      : "restored \(point!) of \(instant!) into \(directory)\n"
    for file in files ?? [] { text += "  \(printable(file.path))  \(humanBytes(file.bytes))\n" }
    if result == "planned" {
      text += cut?.text ?? ""
      text += "  to download: \(humanBytes(bytes ?? 0)) in \(counted(requests ?? 0, "object"))\n"
    }
    text += "  a server with appendonly yes loads: \(loadsWithAppendonlyYes ?? "nothing")\n"
    text += "  a server with appendonly no loads:  \(loadsWithAppendonlyNo ?? "nothing")\n"
    if let oldestServer {
      text +=
        "  " + (server.map { "written by \($0), " } ?? "") + "loads in \(oldestServer) and newer\n"
    }
    if let movedAside { text += "  the files that were there are now in \(movedAside)\n" }
    return text + warningText
  }

  private var warningText: String {
    (warnings ?? []).map { "  warning: \($0)\n" }.joined()
  }
}

extension RestoreDocument.Cut {
  init(_ cut: CutSurroundings, of point: RestorePoint) {
    precision = cut.precision.rawValue
    nextSecond = cut.nextSecond?.description
    func mark(_ place: CutSurroundings.Place?) -> Mark? {
      place.map {
        var other = point
        other.cut = $0.position
        return Mark(point: other.id, at: $0.time.description)
      }
    }
    func command(_ found: CutSurroundings.Command?) -> Command? {
      found.map {
        Command(
          name: printable($0.name, limit: 40),
          argument: $0.argument.map { printable(String(decoding: $0, as: UTF8.self), limit: 80) },
          seenAt: $0.seenAt.description)
      }
    }
    markBefore = mark(cut.markBefore)
    markBehind = mark(cut.markBehind)
    lastKept = command(cut.lastKept)
    firstLeftOut = command(cut.firstLeftOut)
  }

  var text: String {
    var text = "  cut: "
    switch precision {
    case "second":
      text +=
        "exact to the second: all commands before \(nextSecond ?? ""), by the timestamps in the AOF"
    case "mark": text += "at a mark: what the file contained when Lifeboat looked at that time"
    case "command": text += "just before a command, between two marks"
    default: text += "right after the full copy, without any log"
    }
    text += "\n"
    if let markBefore { text += "    mark before:       \(markBefore.at)  \(markBefore.point)\n" }
    text += "    mark after:        "
    text +=
      markBehind.map { "\($0.at)  \($0.point)\n" } ?? "none: the uploaded log ends here\n"
    if let lastKept { text += "    last command kept: \(lastKept.text)\n" }
    if let firstLeftOut { text += "    first left out:    \(firstLeftOut.text)\n" }
    return text
  }
}

extension RestoreDocument.Cut.Command {
  fileprivate var text: String {
    name + (argument.map { " " + $0 } ?? "") + ", seen at \(seenAt)"
  }
}
