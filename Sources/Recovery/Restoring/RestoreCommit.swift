import BackupFormat
import BackupTypes
package import HistoryLogic
import RepositoryAccess
package import SystemIO
import SystemPackage

/// The renames that put a restored state in place, and those that undo them. The places of the files show
/// which steps are done. The commit can therefore be interrupted at any instruction, and another run can
/// finish or undo it.
///
/// If a name exists already, one step exchanges the old file and the staged one. The old file is then moved
/// from the staged files to the place where replaced files are kept. Files without a successor are moved away
/// last. So a server that starts in between finds either the old state or the new one. On a file system that
/// can't exchange names (NFS), there are two renames, and the name does not exist between them.
///
/// The marker is moved in before the last name, so a shipper that looks in between never sees the complete
/// state without it. The opposite case is harmless, because a marker alone proves nothing.
package struct RestoreCommit: Sendable {
  /// One change of a name.
  package enum Step: Sendable, Hashable {
    case makeAside
    /// The old file and the staged one are exchanged.
    case exchange(String)
    case moveAside(String)
    case moveIn(String)
    /// The marker of an earlier restore is moved away, and ours is moved in.
    case keepMarker, placeMarker
    case end
    // Undone:
    case bringBack(String)
    case exchangeBack(String)
    case takeOut(String)
    case takeMarker, returnMarker
    case putBack(String)
    case removeAside
    /// The journal says again that the directory is unchanged.
    case resetJournal
  }
  /// Performs a step. A test can stop before or after it, or make it fail.
  package typealias Performing = @Sendable (_ step: Step, _ body: () throws -> Void) throws -> Void

  let journal: RestoreJournal
  let data: OpenDirectory
  let perform: Performing

  package init(
    _ journal: RestoreJournal, in data: OpenDirectory,
    perform: @escaping Performing = { _, body in try body() }
  ) {
    self.journal = journal
    self.data = data
    self.perform = perform
  }

  /// Performs the commit, or finishes an interrupted one. If a rename fails, all are undone.
  ///
  /// - Returns: a warning if the staging directory could not be removed afterwards.
  package func run() throws -> String? {
    do {
      try moveNames()
    } catch let error as LifeboatError {
      try giveUp(error)
    }
    do {
      try perform(.end) { try RestoreJournal.discard(in: data) }
      return nil
    } catch let error as LifeboatError {
      return "the restore is complete, but its staging directory can't be removed ("
        + error.inOneLine
        + "): remove \(printable(data.path.description))/\(RestoreJournal.directory)"
    }
  }

  private func giveUp(_ error: LifeboatError) throws -> Never {
    var failure = error
    failure.isRetryable = false
    let hint = error.hint.map { $0 + "; " } ?? ""
    do {
      try undo()
      try RestoreJournal.discard(in: data)
      failure.hint = hint + "every rename was undone: the directory is unchanged"
    } catch let second as LifeboatError {
      failure.hint =
        hint + "the renames could not be undone (\(second.inOneLine)"
        + "): run restore again, which finishes or undoes them, before a server starts"
    }
    throw failure
  }

  // MARK: Forwards

  private func moveNames() throws {
    let staging = try openStaging()
    if !isMarkerIn {
      // From the first rename on, no file content is written.
      try DurableFile.replace(
        RestoreJournal.marker, in: staging, bytes: try RecordCoding.encode(journal.marker),
        mode: 0o644)
    }
    let aside = try openAside(makes: true)
    // If an earlier run was interrupted at its very end, the directory is gone, and every name is in place.
    let files = try staging.openDirectory(RestoreJournal.files)
    for (index, name) in journal.movedIn.enumerated() {
      if index == journal.movedIn.count - 1 { try placeMarker(staging) }
      if let files { try moveIn(name, from: files, aside) }
      try data.synchronize()
    }
    guard let aside else { return }
    for name in journal.movedAside where isFound(name, in: data) {
      try perform(.moveAside(name)) { try move(name, from: data, to: aside) }
    }
    try aside.synchronize()
    try data.synchronize()
  }

  private func moveIn(_ name: String, from files: OpenDirectory, _ aside: OpenDirectory?) throws {
    if let aside, isFound(name, in: data), try files.status(of: name) != nil {
      var isExchanged = false
      try perform(.exchange(name)) { isExchanged = try data.exchange(name, with: files) }
      if isExchanged {
        try files.synchronize()
      } else {
        try perform(.moveAside(name)) { try move(name, from: data, to: aside) }
      }
    }
    if let aside, isFound(name, in: files) {
      try perform(.moveAside(name)) { try move(name, from: files, to: aside) }
      try aside.synchronize()
    } else if try files.status(of: name) != nil {
      try perform(.moveIn(name)) { try move(name, from: files, to: data) }
    }
  }

  /// Moves files that were exchanged, and are still among the staged ones, to the place where they are kept.
  func keepExchanged() throws {
    guard let aside = try openAside(makes: false),
      let files = try openStaging().openDirectory(RestoreJournal.files)
    else { return }
    for name in journal.movedAside where isFound(name, in: files) {
      try perform(.moveAside(name)) { try move(name, from: files, to: aside) }
    }
    try aside.synchronize()
  }

  private func openAside(makes: Bool) throws -> OpenDirectory? {
    guard let name = journal.aside else { return nil }
    if try data.status(of: name) == nil {
      guard makes else { return nil }
      try perform(.makeAside) { try makeAside(name) }
    }
    guard let aside = try data.openDirectory(name) else {
      throw LifeboatError(.failure, "\(data.path)/\(name) is not a directory")
    }
    return aside
  }

  /// The server may run as another user of the group, who must be able to remove this directory.
  private func makeAside(_ name: String) throws {
    try data.makeDirectory(name, mode: 0o755)
    guard let aside = try data.openDirectory(name) else { return }
    let (mode, parent) = (try aside.status().mode, try data.status().mode)
    let wanted = StagedOwner.mode(mode, in: parent, isDirectory: true)
    if wanted != mode { try aside.setPermissions(wanted) }
  }

  private func placeMarker(_ staging: OpenDirectory) throws {
    guard !isMarkerIn else { return }
    if try data.status(of: Marker.name) != nil {
      try perform(.keepMarker) {
        try data.rename(
          Marker.name, to: staging, as: RestoreJournal.markerBefore, noReplace: false)
      }
    }
    try perform(.placeMarker) {
      try staging.rename(RestoreJournal.marker, to: data, as: Marker.name, noReplace: true)
    }
    try data.synchronize()
  }

  private var isMarkerIn: Bool { Marker.read(in: data) == journal.marker }

  /// A file system without an exclusive rename creates a second name and removes the first. A crash between
  /// the two leaves both.
  private func move(_ name: String, from: OpenDirectory, to: OpenDirectory) throws {
    if let old = try from.status(of: name), let new = try to.status(of: name),
      old.kind == .regular, new.kind == .regular, old.inode == new.inode
    {
      try from.remove(name)
    } else {
      try from.rename(name, to: to, as: name, noReplace: true)
    }
  }

  // MARK: Back

  /// Restores the directory to its previous state. The staged files are in the staging directory again.
  package func undo() throws {
    let places = try look()
    let aside = try openAside(makes: false)
    func putBack(_ names: [String]) throws {
      guard let aside else { return }
      for name in names where isFound(name, in: aside) {
        try perform(.putBack(name)) { try move(name, from: aside, to: data) }
      }
      try data.synchronize()
    }
    try putBack(journal.movedAside.filter { !journal.movedIn.contains($0) })
    try takeOut(places.filter { $0.live == .asStaged }, for: aside)
    try putBack(journal.movedAside)
    if let name = journal.aside, let aside {
      if try aside.entries().isEmpty {
        try perform(.removeAside) { try data.removeDirectory(name) }
        try data.synchronize()
      }
    }
    try perform(.resetJournal) {
      var reset = journal
      reset.phase = .staging
      try reset.write(in: data)
    }
  }

  /// Moves the files of this restore, and its marker, back to where they were staged.
  /// - Parameter aside: the directory from which the old files are moved back. Nil: none were moved there.
  func takeOut(_ places: [CommitRecovery.Place], for aside: OpenDirectory? = nil) throws {
    let staging = try openStaging()
    try staging.makeDirectory(RestoreJournal.files, mode: 0o755)
    guard let files = try staging.openDirectory(RestoreJournal.files) else {
      throw LifeboatError(
        .failure, "\(staging.path)/\(RestoreJournal.files) was removed during the restore")
    }
    for place in places.reversed() { try takeOut(place.name, to: files, for: aside) }
    try takeMarkerBack(staging)
    try files.synchronize()
    try data.synchronize()
  }

  private func takeOut(_ name: String, to files: OpenDirectory, for aside: OpenDirectory?) throws {
    if let aside, isFound(name, in: aside) {
      try perform(.bringBack(name)) { try move(name, from: aside, to: files) }
    }
    if let aside, isFound(name, in: files) {
      var isExchanged = false
      try perform(.exchangeBack(name)) { isExchanged = try data.exchange(name, with: files) }
      if isExchanged { return }
      try perform(.moveAside(name)) { try move(name, from: files, to: aside) }
    }
    try perform(.takeOut(name)) { try move(name, from: data, to: files) }
  }

  func takeMarkerBack() throws { try takeMarkerBack(try openStaging()) }

  private func takeMarkerBack(_ staging: OpenDirectory) throws {
    if isMarkerIn {
      try perform(.takeMarker) {
        try data.rename(Marker.name, to: staging, as: RestoreJournal.marker, noReplace: false)
      }
    }
    if try staging.status(of: RestoreJournal.markerBefore) != nil,
      try data.status(of: Marker.name) == nil
    {
      try perform(.returnMarker) {
        try staging.rename(
          RestoreJournal.markerBefore, to: data, as: Marker.name, noReplace: true)
      }
    }
    try data.synchronize()
  }

  // MARK: Looking

  /// Finds out where the files of each name are. Reads the staged files, and compares them with the digests
  /// in the journal. Blocks.
  package func look() throws -> [CommitRecovery.Place] {
    let files = try openStaging().openDirectory(RestoreJournal.files)
    let aside = try journal.aside.flatMap { name -> OpenDirectory? in
      guard try data.status(of: name)?.kind == .directory else { return nil }
      return try data.openDirectory(name)
    }
    let names = Set(journal.movedAside + journal.movedIn).sorted {
      order(of: $0) < order(of: $1)
    }
    return try names.map { name in
      let isMovedIn = journal.movedIn.contains(name)
      let isExchanged = files.map { isFound(name, in: $0) } ?? false
      var staged = CommitRecovery.Place.Stored.absent
      if isMovedIn, !isExchanged { staged = try stored(name, in: files) { isStaged($0, in: $1) } }
      var live = CommitRecovery.Place.Live.absent
      if try data.status(of: name) != nil {
        live =
          isFound(name, in: data) ? .asFound : (isStaged(name, in: data) ? .asStaged : .other)
      }
      return CommitRecovery.Place(
        name: name, isMovedAside: journal.movedAside.contains(name), isMovedIn: isMovedIn,
        live: live,
        aside: isExchanged ? .intact : try stored(name, in: aside) { isFound($0, in: $1) },
        staged: staged)
    }
  }

  private func order(of name: String) -> Int {
    journal.movedIn.firstIndex(of: name) ?? journal.movedIn.count
  }

  private func stored(
    _ name: String, in directory: OpenDirectory?, _ isIntact: (String, OpenDirectory) -> Bool
  ) throws -> CommitRecovery.Place.Stored {
    guard let directory, try directory.status(of: name) != nil else { return .absent }
    return isIntact(name, directory) ? .intact : .other
  }

  private func isFound(_ name: String, in directory: OpenDirectory) -> Bool {
    let wanted = journal.found.filter { journal.top(of: $0.path) == name }
    guard !wanted.isEmpty, let found = try? RestoreJournal.Found.under(name, in: directory) else {
      return false
    }
    return found.sorted { $0.path < $1.path } == wanted.sorted { $0.path < $1.path }
  }

  /// Whether a name is exactly the staged file. An unreadable file is not.
  private func isStaged(_ name: String, in directory: OpenDirectory) -> Bool {
    let wanted = journal.staged.filter { journal.top(of: $0.path) == name }
    guard !wanted.isEmpty else { return false }
    if let file = wanted.first(where: { $0.path == name }) {
      return wanted.count == 1 && isStaged(file, as: name, in: directory)
    }
    guard let inner = try? directory.openDirectory(name), let entries = try? inner.entries(),
      Set(entries.map { name + "/" + $0.name }) == Set(wanted.map(\.path))
    else { return false }
    return wanted.allSatisfy {
      isStaged($0, as: String($0.path.dropFirst(name.count + 1)), in: inner)
    }
  }

  private func isStaged(_ file: RestoreJournal.Staged, as name: String, in directory: OpenDirectory)
    -> Bool
  {
    guard let opened = try? directory.open(name), let status = try? opened.status(),
      status.size == file.size
    else { return false }
    return (try? StagedDigest.of(opened, size: file.size)) == file.digest
  }

  private func openStaging() throws -> OpenDirectory {
    guard let staging = try data.openDirectory(RestoreJournal.directory) else {
      throw LifeboatError(
        .failure, "\(data.path)/\(RestoreJournal.directory) was removed during the restore")
    }
    return staging
  }
}
