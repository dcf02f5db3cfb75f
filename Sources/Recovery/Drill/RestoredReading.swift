import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess
import SystemIO
import SystemPackage

/// Our own reading of the restored files, in the order in which a server loads them: the content of the
/// full copy, the number of commands after it, and the final values of some keys.
struct RestoredReading {
  /// At most this many keys are followed, and at least half of that if there are enough keys.
  private static let keysMax = 2048

  private(set) var model: KeyModel
  /// The content of the full copy. Nil if there is none, or if it is not understood.
  private(set) var dataset: DatasetRecord?
  /// The number of commands after the full copy, without SELECT.
  private(set) var commands: UInt64 = 0
  /// The reason why values are not compared.
  private(set) var obstacle: String?

  init(_ plan: RestorePlan, in data: FilePath, seed: UInt64) throws {
    model = KeyModel(KeySampling(seed: seed), countMax: RestoredReading.keysMax)
    let roles: Set<RestorePlan.Role> =
      plan.point.primary == .rdb ? [.dump] : [.base, .increment, .legacy]
    for file in plan.files where roles.contains(file.role) {
      try Task.checkCancellation()
      try read(try OpenFile(reading: data.appending(file.path)))
    }
    if model.isLost {
      obstacle = obstacle ?? "the log contains commands that Lifeboat can't replay"
    }
  }

  private mutating func read(_ file: OpenFile) throws {
    let size = try file.status().size
    let first = try file.bytes(from: 0, to: min(size, 1)).first
    var position: UInt64 = 0
    if let first, first != UInt8(ascii: "*"), first != UInt8(ascii: "#") {
      guard let end = try readCopy(file, size) else { return }
      position = end
    }
    guard position < size else { return }
    try readLog(file, from: position, to: size)
  }

  /// Returns where it ends; nil if its structure is unknown.
  private mutating func readCopy(_ file: OpenFile, _ size: UInt64) throws -> UInt64? {
    var walker = RDBWalker(choosing: model.sampling, countMax: RestoredReading.keysMax / 2)
    try file.forEachChunk(from: 0, to: size) {
      _ = walker.consume($0)
      if case .walking = walker.state { return true }
      return false
    }
    guard case .ended(let end) = walker.finish() else {
      obstacle = "the structure of the full copy is not known"
      return nil
    }
    dataset = DatasetRecord(walker.summary)
    if walker.isCompressed {
      obstacle = "the full copy is compressed, so single values are not read from it"
      return end
    }
    guard let places = walker.keyPlaces else { return end }
    model.narrow(to: places.sampling)
    for place in places.places {
      let length = place.value.upperBound - place.value.lowerBound
      var value: RedisValue?
      if length <= UInt64(AOFCommandReader.argumentBytesMax) {
        value = RDBValueReader.read(
          try file.bytes(from: place.value.lowerBound, to: place.value.upperBound),
          type: place.type)
      }
      model.load(
        .init(database: place.database, name: place.name),
        .init(value: value, expiresAt: place.expiresAt))
    }
    return end
  }

  private mutating func readLog(_ file: OpenFile, from: UInt64, to: UInt64) throws {
    var reader = AOFCommandReader()
    var (model, commands) = (self.model, self.commands)
    try file.forEachChunk(from: from, to: to) { chunk in
      reader.consume(chunk) { event in
        guard case .command(let command) = event else { return }
        if command.name != "SELECT" { commands += 1 }
        model.apply(command.arguments, isWhole: command.isWhole)
      }
      return !reader.isBroken
    }
    if reader.isBroken { obstacle = "the log can't be read as commands" }
    (self.model, self.commands) = (model, commands)
  }
}
