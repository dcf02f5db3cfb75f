import BackupFormat
import BackupLogic
import BackupTypes

/// What people and other commands have written below `ops/`.
struct OperationsLook: Sendable {
  /// The ids of pins that were let go.
  var released: Set<String>
  var quarantined: Set<GenerationID>
  /// The last drill, unless it is known already.
  var drill: Drill?
}

extension Repository {
  /// One listing; and one read when there was a drill since the one that is known.
  func lookAtOperations(knownDrill: String?) async throws -> OperationsLook {
    let catalogue = try await catalogue(prefix: "ops/")
    var drill: Drill?
    if let id = newestDrill(catalogue), id != knownDrill { drill = try? await self.drill(id) }
    return OperationsLook(
      released: catalogue.operations[.releases] ?? [], quarantined: catalogue.quarantined,
      drill: drill)
  }

  /// The id of the last drill: ids begin with their time.
  func newestDrill(_ catalogue: Catalogue) -> String? { catalogue.operations[.drills]?.max() }

  func drill(_ id: String) async throws -> Drill {
    try await record(Drill.self, .operation(.drills, id: id), kind: .operation)
  }
}
