package import BackupFormat
package import BackupTypes
package import HistoryLogic
import ObjectStorage

/// Which records below `ops/` count. Some records remove something or answer a question: a release, a
/// quarantine, a prune record, a drill, a request that was performed. They count only if they can be read. In
/// an encrypted repository only a holder of the key can have written them. In an unencrypted one, they have
/// to parse, and to name this repository and their own id.
///
/// A pin keeps something, so it counts even if it can't be read (`PinReading`).
extension Repository {
  private enum Standing: Sendable {
    case counts
    case gone
    case unusable(String)
  }

  /// The catalogue without the releases and quarantines that do not count. Only records that would change
  /// something are read: a release of a listed pin, a quarantine of a listed generation.
  package func withoutUnusable(_ catalogue: Catalogue) async throws -> Catalogue {
    let releases = (catalogue.operations[.releases] ?? [])
      .intersection(catalogue.operations[.pins] ?? [])
    let quarantines = catalogue.quarantined.filter { catalogue.generations[$0] != nil }
    return try await catalogue.disregarding(
      unusable(releases: releases, quarantines: Set(quarantines)))
  }

  /// The records of people and other commands that count.
  package func operations() async throws -> Catalogue {
    try await withoutUnusable(try await catalogue(prefix: "ops/"))
  }

  /// The records that do not count, with the reason. The reason is nil if the record was deleted since it was
  /// listed.
  func unusable(releases: Set<String>, quarantines: Set<GenerationID>) async throws
    -> [ObjectPath: String?]
  {
    let names =
      releases.map { ObjectPath.operation(.releases, id: $0) }
      + quarantines.map { .operation(.quarantines, id: $0.description) }
    return try await withThrowingTaskGroup(of: (ObjectPath, Standing).self) { group in
      var found: [ObjectPath: String?] = [:]
      func take(_ name: ObjectPath, _ standing: Standing) {
        switch standing {
        case .counts: break
        case .gone: found.updateValue(nil, forKey: name)
        case .unusable(let reason): found.updateValue(reason, forKey: name)
        }
      }
      for (count, name) in names.enumerated() {
        if count >= Repository.readWidth, let (name, standing) = try await group.next() {
          take(name, standing)
        }
        group.addTask { (name, try await standing(name)) }
      }
      for try await (name, standing) in group { take(name, standing) }
      return found
    }
  }

  private func standing(_ name: ObjectPath) async throws -> Standing {
    do {
      switch name {
      case .operation(.releases, let id):
        let release = try await record(Release.self, name, kind: .operation)
        try check(release.pin == id, release.repository, name)
      case .operation(.quarantines, let id): _ = try await quarantine(id)
      default: break
      }
      return .counts
    } catch let error as LifeboatError where error.isUnreadable {
      return .unusable(error.reason)
    } catch let error as LifeboatError where error.missingObject != nil {
      return .gone
    }
  }

  package func quarantine(_ id: String) async throws -> Quarantine {
    let name = ObjectPath.operation(.quarantines, id: id)
    let quarantine = try await record(Quarantine.self, name, kind: .operation)
    try check(quarantine.generation.description == id, quarantine.repository, name)
    return quarantine
  }

  package func drill(_ id: String) async throws -> Drill {
    let name = ObjectPath.operation(.drills, id: id)
    let drill = try await record(Drill.self, name, kind: .operation)
    try check(drill.id == id, drill.repository, name)
    return drill
  }

  /// Checks that a record names itself and its repository.
  func check(_ namesItself: Bool, _ repository: Nonce, _ name: ObjectPath) throws(LifeboatError) {
    let problem: String? =
      if repository != id { "it belongs to another repository" } else if !namesItself {
        "it contains another record"
      } else { nil }
    if let problem {
      throw LifeboatError(.corrupt, "the object \(name.text) can't be used", cause: problem)
    }
  }

  /// The records about the deletions of earlier runs of retention, and the records that do not count.
  func prunes(_ catalogue: Catalogue) async throws -> (
    records: [Prune], unusable: [ObjectPath: String]
  ) {
    var records: [Prune] = []
    var unusable: [ObjectPath: String] = [:]
    for id in (catalogue.operations[.prunes] ?? []).sorted() {
      let name = ObjectPath.operation(.prunes, id: id)
      do {
        let record = try await record(Prune.self, name, kind: .operation)
        try check(record.id == id, record.repository, name)
        records.append(record)
      } catch let error as LifeboatError where error.isUnreadable {
        unusable[name] = error.reason
      }
    }
    return (records, unusable)
  }

  /// Releases a pin. This fails if somebody has put another object under the name of the release.
  package func release(_ pin: String, by: String, at now: Instant) async throws {
    let name = ObjectPath.operation(.releases, id: pin)
    do {
      let release = Release(pin: pin, repository: id, at: now, by: by)
      if try await create(release, name, kind: .operation) == .created { return }
    } catch let error as LifeboatError where error.isUnreadable {}
    throw LifeboatError(
      .corrupt, "the pin \(printable(pin)) can't be released",
      cause: "\(printable(name.text)) exists, and is not a release that counts",
      hint: "delete that object with credentials that may delete, and run `lifeboat unpin` again; "
        + "find out who wrote it")
  }
}

extension LifeboatError {
  /// A listed record that can't be used: damaged, not authentic, or of a newer format.
  var isUnreadable: Bool { isDamage || code == .versionMismatch }
}
