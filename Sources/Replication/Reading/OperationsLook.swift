import BackupFormat
import BackupLogic
import BackupTypes

/// What people and other commands have written below `ops/`.
struct OperationsLook: Sendable {
  /// The ids of released pins.
  var released: Set<String>
  var quarantined: Set<GenerationID>
  /// The last drill, unless it is already known.
  var drill: Drill?
}

extension Repository {
  /// Makes one listing, and one read if there was a newer drill than the known one.
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
