import BackupTypes
import Synchronization
import SystemIO
import TestSupport

/// What happens in a soak, one after the other.
enum Disturbance: Hashable, Sendable, CustomStringConvertible {
  case rewrite, serverKilled, shipperKilled, bothKilled, shipperEnded, volumeLost, rotation
  case outage(Outage)

  enum Outage: String, Sendable {
    /// A directory that is gone, as a volume that is unmounted.
    case unmounted
    /// Every connection is reset.
    case resets
    /// Nothing but 503.
    case busy
    /// The server is stopped, and started again.
    case stopped
    /// The server takes requests and does not answer.
    case frozen
    /// The keys are refused, and the next ones come later.
    case revoked
  }

  /// Of the pods, whatever the store.
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

/// Where a soak ships to, and what can happen to it.
protocol SoakStore: Sendable {
  var disturbances: [Disturbance] { get }
  /// What `--repo` says for the pod of that name.
  func repository(_ name: String) -> String
  /// `isAsked`: credentials come from a service, else from a file.
  func environment(isAsked: Bool) -> [String: String]
  func begin(_ outage: Disturbance.Outage) async throws
  func end(_ outage: Disturbance.Outage) async throws
  /// Other keys from now on; the old ones are refused at once.
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

/// SeaweedFS behind a gate that knows which keys are valid: handed out in a credentials file, and by a
/// service that speaks as EKS Pod Identity's does.
final class S3SoakStore: SoakStore {
  /// More than an hour of rotations.
  private static let keysMax = 1000
  /// Short, so that keys are also asked for again because their time is over.
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
      // Another process of this machine may have taken one of its ports meanwhile.
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
    // Both, for a moment: the new ones may be asked for before the old ones end.
    gate.set(keys: [old, new])
    try writeFile()
    gate.set(keys: [new])
  }

  /// As a Secret's volume is updated: a reader sees the old file or the new one.
  private func writeFile() throws {
    let (key, secret) = S3SoakStore.key(handedOut.number.withLock { $0 })
    try TestFiles.write(
      "[default]\naws_access_key_id = \(key)\naws_secret_access_key = \(secret)\n",
      to: folder("new"))
    try TestFiles.rename(folder("new"), to: folder("credentials"))
  }
}
