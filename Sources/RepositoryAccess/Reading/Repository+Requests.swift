import BackupFormat
package import BackupTypes
import HistoryLogic
import ObjectStorage
import SystemIO

/// What the repository knows about a standing request (`StandingRequest`).
package struct RequestReading: Sendable {
  package var isPerformed = false
  /// Objects under the names of its record that are not such a record. They do not count: anyone who may
  /// create objects can have put them there before the request was performed. Afterwards nobody can replace
  /// the record.
  package var unusable: [String] = []
}

extension Repository {
  /// How many objects are read under the names of one request.
  private static let requestReadsMax = 1000

  /// The first part of the name of its record.
  package func requestID(_ request: String) -> String {
    frame.digest(Array(request.utf8)).short.hexadecimal
  }

  /// - Throws: also if there is a record of a newer release, since that may say that the request was
  ///   performed.
  package func reading(ofRequest id: String) async throws -> RequestReading {
    let first = requestID(id)
    let names =
      try await catalogue(prefix: ObjectPath.operation(.requests, id: first).text)
      .operations[.requests] ?? []
    var reading = RequestReading()
    for name in names.sorted().prefix(Repository.requestReadsMax) {
      let path = ObjectPath.operation(.requests, id: name)
      do {
        let record = try await record(PerformedRequest.self, path, kind: .operation)
        try check(record.id == id, record.repository, path)
        reading.isPerformed = true
      } catch let error as LifeboatError where error.isDamage {
        reading.unusable.append(path.text)
      }
    }
    guard reading.isPerformed || names.count <= Repository.requestReadsMax else {
      throw LifeboatError(
        .corrupt, "it is not known whether the restore request \(id) was performed",
        cause: "the names of \(counted(names.count, "object")) begin like that of its record",
        hint: "delete those of them that `lifeboat verify` names; find out who wrote them")
    }
    return reading
  }

  /// Records that a requested restore was performed. If another object has the name of the record, the record
  /// gets another name.
  package func record(performed request: String, point: String, at now: Instant) async throws {
    let record = PerformedRequest(id: request, repository: id, at: now, point: point)
    let first = requestID(request)
    for id in [first, "\(first)-\(hexadecimal(secureRandomBytes(16)))"] {
      do {
        let name = ObjectPath.operation(.requests, id: id)
        if try await create(record, name, kind: .operation) == .created { return }
      } catch let error as LifeboatError where error.isDamage {}
      if try await reading(ofRequest: request).isPerformed { return }
    }
    throw LifeboatError(
      .corrupt, "the record of the restore request \(request) can't be written",
      cause: "other objects have its names",
      hint: "delete those that `lifeboat verify` names; find out who wrote them")
  }
}
