import BackupTypes
import Synchronization
import SystemIO
import TestSupport

/// The disturbances of a soak, one after the other.
enum Disturbance: Hashable, Sendable, CustomStringConvertible {
  case rewrite, serverKilled, shipperKilled, bothKilled, shipperEnded, volumeLost, rotation
  case outage(Outage)

  enum Outage: String, Sendable {
    /// The directory is gone, like an unmounted volume.
    case unmounted
    /// Every connection is reset.
    case resets
    /// Every reply is 503.
    case busy
    /// The server is stopped and started again.
    case stopped
    /// The server accepts requests but does not answer.
    case frozen
    /// The keys are refused. New ones come later.
    case revoked
  }

  /// The disturbances of pods, for every store.
  static let ofPods: [Disturbance] = [
    .rewrite, .serverKilled, .shipperKilled, .bothKilled, .shipperEnded, .volumeLost,
  ]

  var description: String {
    switch self {
    case .rewrite: "the AOFs are rewritten"
    case .serverKilled: "kill -9 of both servers"
    case .shipperKilled: "kill -9 of the shipper"
    case .bothKilled: "kill -9 of server and shipper"
    case .shipperEnded: "the shipper is ended and started"
    case .volumeLost: "the volume is lost and restored"
    case .rotation: "the keys are rotated"
    case .outage(let outage): "outage: \(outage.rawValue)"
    }
  }
}

/// The store of a soak, and what can happen to it.
protocol SoakStore: Sendable {
  var disturbances: [Disturbance] { get }
  /// The value of `--repo` for the pod of that name.
  func repository(_ name: String) -> String
  /// - Parameter isAsked: whether credentials come from a service, otherwise from a file.
  func environment(isAsked: Bool) -> [String: String]
  func begin(_ outage: Disturbance.Outage) async throws
  func end(_ outage: Disturbance.Outage) async throws
  /// Switches to new keys. The old ones are refused at once.
  func rotate() throws
}

/// Two folders of one directory.
final class DirectorySoakStore: SoakStore {
  private let folder: TemporaryDirectory
  private let root: String

  init() throws {
    folder = try TemporaryDirectory("soak")
    root = try folder.makeDirectory("store")
    for name in ["steady", "killed"] { try TestFiles.makeDirectory(repository(name)) }
  }

  var disturbances: [Disturbance] { [.outage(.unmounted)] }
  func repository(_ name: String) -> String { root + "/" + name }
  func environment(isAsked: Bool) -> [String: String] { [:] }
  func begin(_ outage: Disturbance.Outage) throws { try TestFiles.rename(root, to: root + "-away") }
  func end(_ outage: Disturbance.Outage) throws { try TestFiles.rename(root + "-away", to: root) }
  func rotate() {}
}

/// SeaweedFS behind a gate that knows the valid keys. The keys are in a credentials file and come from a
/// service like that of EKS Pod Identity.
final class S3SoakStore: SoakStore {
  /// Enough for more than an hour of rotations.
  private static let keysMax = 1000
  /// Short, so that keys are also requested again because they expire.
  private static let lifetime: Int64 = 30_000

  private let seaweed: SeaweedServer
  private let gate: S3Gate
  private let service: LoopbackServer
  private let folder: TemporaryDirectory
  private let handedOut: HandedOut

  private final class HandedOut: Sendable { let number = Mutex(1) }

  init() async throws {
    let keys = (1...S3SoakStore.keysMax).map(S3SoakStore.key)
    seaweed = try await SeaweedServer(keys: keys)
    try await seaweed.makeBucket()
    gate = try S3Gate(to: seaweed.port, keys: [S3SoakStore.key(1).key])
    folder = try TemporaryDirectory("soak-keys")
    let handedOut = HandedOut()
    self.handedOut = handedOut
    service = try LoopbackServer(remembers: false) { _ in
      let (key, secret) = S3SoakStore.key(handedOut.number.withLock { $0 })
      let end = SystemClock.now().advanced(byMilliseconds: S3SoakStore.lifetime)
      return .reply(
        LoopbackReply(
          200,
          text: """
            {"AccessKeyId": "\(key)", "SecretAccessKey": "\(secret)", "Expiration": "\(end)"}
            """))
    }
    try writeFile()
  }

  private static func key(_ number: Int) -> (key: String, secret: String) {
    ("SOAKKEY\(1000 + number)", "soak-secret-\(number)")
  }

  var disturbances: [Disturbance] {
    [.rotation]
      + [.resets, .busy, .stopped, .frozen, .revoked].map { Disturbance.outage($0) }
  }

  func repository(_ name: String) -> String {
    "s3://\(SeaweedServer.bucket)/\(name)?endpoint=\(gate.url)&path-style=true"
  }

  func environment(isAsked: Bool) -> [String: String] {
    var environment = CloudKeys.none
    environment["AWS_REGION"] = "us-east-1"
    if isAsked {
      environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = service.url + "/keys"
    } else {
      environment["AWS_SHARED_CREDENTIALS_FILE"] = folder("credentials")
    }
    return environment
  }

  func begin(_ outage: Disturbance.Outage) async throws {
    switch outage {
    case .resets: gate.set(.resets)
    case .busy: gate.set(.busy)
    case .stopped: try await seaweed.stop()
    case .frozen: seaweed.freeze()
    case .revoked: gate.set(keys: [])
    case .unmounted: throw HarnessError("a bucket has no mount")
    }
  }

  func end(_ outage: Disturbance.Outage) async throws {
    switch outage {
    case .resets, .busy, .unmounted: gate.set(.open)
    case .frozen: seaweed.thaw()
    case .revoked: try rotate()
    case .stopped:
      // Another process on this machine may have taken one of its ports meanwhile.
      try await eventually(
        deadline: 180, "SeaweedFS is back",
        condition: {
          if !seaweed.isRunning { try seaweed.start() }
          return try await seaweed.answers()
        }, state: { String(seaweed.log.suffix(2000)) })
    }
  }

  func rotate() throws {
    let (old, new) = handedOut.number.withLock { number in
      number += 1
      return (S3SoakStore.key(number - 1).key, S3SoakStore.key(number).key)
    }
    guard new != S3SoakStore.key(S3SoakStore.keysMax + 1).key else {
      throw HarnessError("all \(S3SoakStore.keysMax) keys are used up")
    }
    // For a moment both are valid, since the new ones may be used before the old ones are revoked.
    gate.set(keys: [old, new])
    try writeFile()
    gate.set(keys: [new])
  }

  /// Like the update of a Secret's volume: a reader sees the old file or the new one.
  private func writeFile() throws {
    let (key, secret) = S3SoakStore.key(handedOut.number.withLock { $0 })
    try TestFiles.write(
      "[default]\naws_access_key_id = \(key)\naws_secret_access_key = \(secret)\n",
      to: folder("new"))
    try TestFiles.rename(folder("new"), to: folder("credentials"))
  }
}
