import BackupTypes
import HistoryLogic

/// What a restore was asked to do, as its journal records it. A later run with the same request finishes it.
package struct RestoreRequest: Sendable, Equatable, Codable {
  /// The flags that select the restore point; empty for the newest one.
  package var selection: String
  /// Everything else that determines the result: repository, names, form, owner.
  package var form: String
  package var replaces: Bool

  package init(selection: String, form: String, replaces: Bool) {
    self.selection = selection
    self.form = form
    self.replaces = replaces
  }
}

extension RestoreRequest {
  init(_ options: Restorer.Options, repository: String) {
    selection = RestoreRequest.line(
      [("request", options.performs?.id)] + RestoreRequest.fields(options.question))
    let plan = options.plan
    form = RestoreRequest.line([
      ("repository", repository), ("id", options.repositoryID?.hexadecimal),
      ("names", options.names.map { "\($0.dump)/\($0.appendFile)/\($0.appendDirectory)" }),
      ("appendonly", plan.appendOnly.rawValue), ("legacy", plan.usesLegacyForm ? "yes" : nil),
      ("owner", options.owner.map { "\($0.user):\($0.group)" }),
    ])
    replaces = options.replaces
  }

  private static func fields(_ question: Question) -> [(name: String, value: String?)] {
    func of(_ timeline: TimelineNumber?) -> (String, String?) {
      ("timeline", timeline.map { "\($0)" })
    }
    return switch question {
    case .newest(let suspect): [("suspect", suspect?.rawValue)]
    case .timeline(let number): [of(number)]
    case .unfinished(let number): [("base", "empty"), of(number)]
    case .at(let instant, let number): [("at", "\(instant.milliseconds)"), of(number)]
    case .before(let command, let number): [("before", command), of(number)]
    case .point(let id): [("point", id)]
    }
  }

  private static func line(_ fields: [(name: String, value: String?)]) -> String {
    fields.compactMap { field in field.value.map { "\(field.name)=\($0)" } }.joined(separator: " ")
  }

  /// Whether this is the same request as in `journal`. It is also the same if it names the restore point that
  /// the other run had found.
  func isThat(of journal: RestoreJournal) -> Bool {
    var same = journal.request
    if selection == RestoreRequest.line([("point", journal.point)]) { same.selection = selection }
    return self == same
  }
}
