import BackupFormat
import Testing
import WriterLogic

/// Volumes that move, and their clones, which contain the same directory.
struct VolumeTests {
  private static let directory = "00000000000000a1:7:100.5"
  /// The same directory after a remount on another machine, on XFS.
  private static let moved = "00000000000000b2:7:100.5"

  struct Row: Sendable {
    var rule: String
    /// After how long it may claim: at once, after ten minutes without growth, or nil if waiting does not
    /// help.
    var claims: Int64?
    var host = "pod-b"
    var directory = VolumeTests.moved
    var place = Claim.Place()
    var ownerHost = "pod-a"
    var owner: Claim.Place? = Claim.Place()
    var isClean = false
    var isEnded = false
    var source = "s"
  }

  private static func place(_ boot: String?, _ device: String?, _ volume: String? = nil)
    -> Claim.Place
  {
    Claim.Place(boot: boot, device: device, volume: volume)
  }

  static let rows = [
    Row(
      rule: "a volume that moved to another machine", claims: Ownership.stagnation,
      place: place("b2", "259:9", "disk"), owner: place("b1", "259:3", "disk")),
    Row(
      rule: "a clone on another machine", claims: nil, directory: directory,
      place: place("b2", "259:3", "clone"), owner: place("b1", "259:3", "disk")),
    Row(
      rule: "a disk that says nothing of itself, on another machine: moved or a clone", claims: nil,
      place: place("b2", "259:3"), owner: place("b1", "259:3")),
    Row(
      rule: "another pod on the same machine", claims: Ownership.stagnation,
      place: place("b1", "259:3"), owner: place("b1", "259:3")),
    Row(
      rule: "a clone beside its original on one machine", claims: nil, directory: directory,
      place: place("b1", "259:9"), owner: place("b1", "259:3")),
    Row(
      rule: "a device number that another disk has now", claims: nil, directory: directory,
      place: place("b1", "259:3", "clone"), owner: place("b1", "259:3", "disk")),
    Row(
      rule: "a clean end, whatever the volume", claims: 0, place: place("b2", "259:3", "clone"),
      owner: place("b1", "259:3", "disk"), isClean: true),
    Row(
      rule: "the writer ended with unshipped bytes, the same volume", claims: 0,
      place: place("b1", "259:3"), owner: place("b1", "259:3"), isEnded: true),
    Row(
      rule: "the writer ended with unshipped bytes, a clone", claims: nil, directory: directory,
      place: place("b2", "259:3", "clone"), owner: place("b1", "259:3", "disk"), isEnded: true),
    Row(
      rule: "another source", claims: nil, place: place("b2", "259:9", "disk"),
      owner: place("b1", "259:3", "disk"), source: "t"),
    Row(
      rule: "a claim of release 0.1.0, the same text", claims: Ownership.stagnation,
      directory: directory, place: place("b2", "259:9", "disk"), owner: nil),
    Row(
      rule: "a claim of release 0.1.0, another file-system id", claims: nil,
      place: place("b2", "259:9", "disk"), owner: nil),
    Row(
      rule: "its own pod, on another device", claims: 0, host: "pod-a",
      place: place("b2", "259:9"), owner: place("b1", "259:3")),
    Row(
      rule: "its own machine, the same mount", claims: 0, host: "b1", directory: directory,
      place: place("b1", "259:3"), ownerHost: "b1", owner: place("b1", "259:3")),
    Row(
      rule: "its own machine, mounted from another device", claims: 0, host: "b1",
      place: place("b1", "259:9", "disk"), ownerHost: "b1", owner: place("b1", "259:3", "disk")),
    Row(
      rule: "its own machine, a clone mounted beside it", claims: nil, host: "b1",
      directory: directory, place: place("b1", "259:9"), ownerHost: "b1",
      owner: place("b1", "259:3")),
    Row(
      rule: "its own machine, a claim of release 0.1.0", claims: 0, host: "b1",
      directory: directory, place: place("b1", "259:3", "disk"), ownerHost: "b1", owner: nil),
  ]

  @Test(arguments: rows.indices) func `each rule`(_ number: Int) {
    let row = VolumeTests.rows[number]
    let owner = claim(
      1, instance: row.ownerHost + "/" + VolumeTests.directory, directory: VolumeTests.directory,
      place: row.owner)
    let shipper = Ownership(
      source: SourceName(given: row.source), instance: row.host + "/" + row.directory,
      directory: row.directory, place: row.place, takesOver: false)
    for still in [0, Ownership.stagnation - 1, Ownership.stagnation, .max] {
      let decision = shipper.decide(
        .init(
          newest: owner, instances: [owner.instance], isClean: row.isClean, isPointless: false,
          still: still, isHeir: false, isEnded: row.isEnded))
      let claims = row.claims.map { still >= $0 } ?? false
      #expect((decision == .claim) == claims, "\(row.rule), still \(still): \(decision)")
    }
  }

  @Test func `an instance that owned is known again on another device`() {
    let shipper = Ownership(
      source: SourceName(given: "s"), instance: "pod-a/" + VolumeTests.moved,
      directory: VolumeTests.moved, takesOver: false)
    let decision = shipper.decide(
      .init(
        newest: claim(2, instance: "pod-b/x", directory: "x"),
        instances: ["pod-a/" + VolumeTests.directory, "pod-b/x"], isClean: false, isPointless: true,
        still: nil, isHeir: false))
    #expect(decision != .claim)
  }

  @Test func `standby names what to do`() {
    let shipper = Ownership(
      source: SourceName(host: "web", data: "/data", workingDirectory: nil),
      instance: "b/\(VolumeTests.directory)", directory: VolumeTests.directory, takesOver: false)
    let decision = shipper.decide(
      .init(
        newest: claim(1, source: "prod/redis", instance: "x"), instances: [], isClean: false,
        isPointless: false, still: nil, isHeir: false))
    guard case .standby(let reason) = decision else { return #expect(Bool(false)) }
    #expect(reason.contains("--source 'prod/redis'") && reason.contains("--take-over"), "\(reason)")
  }
}
