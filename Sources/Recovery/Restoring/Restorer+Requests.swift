import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO

/// Standing requests. A request is performed if neither the volume nor the repository has a record of it. On
/// the volume, the record is in the marker, which is put in place together with the state. In the repository,
/// it is an object below `ops/requests`, which is written before the restore succeeds, and so before a server
/// starts.
extension Restorer {
  /// Decides which restore this run performs: the requested one, or the ordinary one.
  func answeringRequest(_ target: RestoreTarget) async throws -> Restorer {
    guard let request = options.request else { return self }
    let marker = Marker.read(in: target.directory)
    if let known = marker?.request(request.id), known.isRecorded {
      note("the restore request \(request.id) was already performed: nothing to do")
      return self
    }
    // If its commit was interrupted, it is finished or undone.
    if case .committing(let journal) = try RestoreJournal.read(in: target.directory),
      journal.marker.request(request.id)?.isRecorded == false
    {
      return requested(request, marker)
    }
    if let marker, marker.request(request.id) != nil {
      if !options.isDryRun { try await settle(request, marker, target) }
      return self
    }
    if try await isRecorded(request) {
      note(
        "the restore request \(request.id) was already performed, on another volume: nothing to do"
      )
      var other = self
      other.options.remembers = Marker.Request(id: request.id, isRecorded: true)
      if !options.isDryRun, var marker {
        remember(other.options.remembers, in: &marker, target)
      }
      return other
    }
    guard (marker?.requests?.count ?? 0) < StandingRequest.requestsMax else {
      throw LifeboatError(
        .refused, "\(options.data) remembers \(StandingRequest.requestsMax) restore requests",
        cause: "a request that is forgotten could be performed again",
        hint: "restore into a new volume; nothing was changed")
    }
    return requested(request, marker)
  }

  private func requested(_ request: StandingRequest, _ marker: Marker?) -> Restorer {
    var other = self
    other.options.performs = request
    other.options.remembers = Marker.Request(id: request.id, isRecorded: false)
    other.options.question = request.question
    other.options.replaces = true
    other.options.isIfEmpty = false
    other.options.isIfBackupExists = false
    return other
  }

  /// The requests in the existing marker, and the one of this run.
  func rememberedRequests(_ target: RestoreTarget) -> [Marker.Request]? {
    var known = Marker.read(in: target.directory)?.requests ?? []
    if let new = options.remembers {
      known.removeAll { $0.id == new.id }
      known.append(new)
    }
    return known.isEmpty ? nil : known
  }

  /// The requested state is in place. This records it in the repository.
  func settleRequest(_ target: RestoreTarget) async throws {
    guard let request = options.performs, !options.isDryRun else { return }
    guard let marker = Marker.read(in: target.directory), marker.request(request.id) != nil else {
      throw LifeboatError(
        .failure, "\(options.data)/\(Marker.name) does not say that the request was performed")
    }
    try await settle(request, marker, target)
  }

  private func settle(
    _ request: StandingRequest, _ marker: Marker, _ target: RestoreTarget
  ) async throws {
    do {
      guard let repository = try await Repository.open(store, keys: options.keys) else {
        throw LifeboatError(.noBackup, "\(store.location) is empty")
      }
      try await repository.record(performed: request.id, point: marker.point, at: now())
    } catch var error as LifeboatError {
      error.hint =
        "the requested state is in place, but the repository has no record of it yet. Without the "
        + "record, a lost volume would be restored to this state again, so do not start a server. "
        + "Allow restore to create objects below ops/, and run it again"
        + (error.hint.map { "; \($0)" } ?? "")
      throw error
    }
    var known = marker
    remember(Marker.Request(id: request.id, isRecorded: true), in: &known, target)
  }

  /// If the volume can't be written, the next start asks the repository again.
  private func remember(
    _ request: Marker.Request?, in marker: inout Marker, _ target: RestoreTarget
  ) {
    guard let request else { return }
    marker.requests = (marker.requests ?? []).filter { $0.id != request.id } + [request]
    do {
      try DurableFile.replace(
        Marker.name, in: target.directory, bytes: try RecordCoding.encode(marker), mode: 0o644)
    } catch {
      note("\(options.data)/\(Marker.name) could not be written: \(error)")
    }
  }

  private func isRecorded(_ request: StandingRequest) async throws -> Bool {
    guard let repository = try await Repository.open(store, keys: options.keys) else {
      return false
    }
    let reading = try await repository.reading(ofRequest: request.id)
    if let first = reading.unusable.first {
      note(
        "\(counted(reading.unusable.count, "object")) named as the record of the restore request "
          + "\(request.id) can't be used, and is ignored; the first is \(first): "
          + "find out who may write to the bucket")
    }
    return reading.isPerformed
  }
}
