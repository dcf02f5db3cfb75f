package import BackupFormat
import BackupTypes
package import HistoryLogic

/// What people and other commands have written below `ops/`.
package struct OperationsLook: Sendable {
  /// The ids of released pins.
  package var released: Set<String>
  package var quarantined: Set<GenerationID>
  /// The last drill, unless it is already known.
  package var drill: Drill?
}

extension Repository {
  /// Makes one listing, and one read if there was a newer drill than the known one.
  package func lookAtOperations(knownDrill: String?) async throws -> OperationsLook {
    let catalogue = try await catalogue(prefix: "ops/")
    var drill: Drill?
    if let id = newestDrill(catalogue), id != knownDrill { drill = try? await self.drill(id) }
    return OperationsLook(
      released: catalogue.operations[.releases] ?? [], quarantined: catalogue.quarantined,
      drill: drill)
  }

  /// The id of the last drill: ids begin with their time.
  package func newestDrill(_ catalogue: Catalogue) -> String? { catalogue.operations[.drills]?.max() }

  package func drill(_ id: String) async throws -> Drill {
    try await record(Drill.self, .operation(.drills, id: id), kind: .operation)
  }
}
