package import BackupFormat
import BackupTypes
package import HistoryLogic

/// What people and other commands have written below `ops/`.
package struct OperationsLook: Sendable {
  /// The ids of the pins in question that are released.
  package var released: Set<String>
  package var quarantined: Set<GenerationID>
  /// The last drill, unless it is already known.
  package var drill: Drill?
}

extension Repository {
  /// Makes one listing, and reads a newer drill than the known one, releases of `pins`, and quarantines
  /// that are not `known`.
  package func lookAtOperations(
    knownDrill: String?, pins: Set<String>, known: Set<GenerationID>
  ) async throws -> OperationsLook {
    var catalogue = try await catalogue(prefix: "ops/")
    let releases = pins.intersection(catalogue.operations[.releases] ?? [])
    catalogue = try await catalogue.disregarding(
      unusable(releases: releases, quarantines: catalogue.quarantined.subtracting(known)))
    var drill: Drill?
    if let id = newestDrill(catalogue), id != knownDrill { drill = try? await self.drill(id) }
    return OperationsLook(
      released: pins.intersection(catalogue.operations[.releases] ?? []),
      quarantined: catalogue.quarantined, drill: drill)
  }

  /// The id of the last drill: ids begin with their time.
  package func newestDrill(_ catalogue: Catalogue) -> String? {
    catalogue.operations[.drills]?.max()
  }

  package func drill(_ id: String) async throws -> Drill {
    try await record(Drill.self, .operation(.drills, id: id), kind: .operation)
  }
}
