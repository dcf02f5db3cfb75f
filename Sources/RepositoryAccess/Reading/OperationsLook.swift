package import BackupFormat
import BackupTypes
package import HistoryLogic

/// What people and other commands have written below `ops/`.
package struct OperationsLook: Sendable {
  /// The ids of those given pins that were released.
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
    return OperationsLook(
      released: pins.intersection(catalogue.operations[.releases] ?? []),
      quarantined: catalogue.quarantined,
      drill: try? await lastDrill(catalogue, after: knownDrill).drill)
  }

  /// How many drill records are read at most to find the last one that counts. Anyone who may create objects
  /// can create any number of others.
  private static let drillsReadMax = 32

  /// The last drill that counts, and the later ones that do not count. Ids begin with the time.
  /// - Parameter known: only later drills than this one are read.
  package func lastDrill(_ catalogue: Catalogue, after known: String? = nil) async throws -> (
    drill: Drill?, unusable: [ObjectPath: String]
  ) {
    var unusable: [ObjectPath: String] = [:]
    let ids = (catalogue.operations[.drills] ?? []).filter { id in known.map { id > $0 } ?? true }
    for id in ids.sorted(by: >).prefix(Repository.drillsReadMax) {
      do {
        return (try await drill(id), unusable)
      } catch let error as LifeboatError where error.isUnreadable {
        unusable[.operation(.drills, id: id)] = error.reason
      } catch let error as LifeboatError where error.missingObject != nil {}
    }
    return (nil, unusable)
  }
}
