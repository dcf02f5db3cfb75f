package import BackupTypes

/// `lifeboat.json`: what a reader has to know first. It is the only object without a frame, so that a person
/// can read it. It begins with `{"_lifeboat":1,`.
package struct Descriptor: Sendable, Equatable, Codable {
  package static let formatVersion = 1
  package enum Cipher: String, Sendable, Codable { case none, aes256gcm = "aes-256-gcm" }

  package var formatVersion: Int
  package var repository: Nonce
  package var created: Instant
  package var cipher: Cipher

  package init(repository: Nonce, created: Instant, cipher: Cipher) {
    formatVersion = Descriptor.formatVersion
    self.repository = repository
    self.created = created
    self.cipher = cipher
  }

  private enum CodingKeys: String, CodingKey {
    case formatVersion = "_lifeboat"
    case repository, created, cipher
  }
}

/// A position in the log of a repository: how far the file `ordinal` of a timeline has been read.
package struct LogPosition: Hashable, Comparable, Sendable, Codable {
  package var timeline: TimelineNumber
  package var ordinal: Int
  package var offset: UInt64

  package init(timeline: TimelineNumber, ordinal: Int, offset: UInt64) {
    self.timeline = timeline
    self.ordinal = ordinal
    self.offset = offset
  }

  /// Ordinals number files in the order of their first pinning, so this is capture order.
  package static func < (a: LogPosition, b: LogPosition) -> Bool {
    (a.timeline, a.ordinal, a.offset) < (b.timeline, b.ordinal, b.offset)
  }
}

extension LogPosition: CustomStringConvertible {
  package var description: String { "\(timeline)/\(ordinal)/\(offset)" }
}

/// `timelines/<n>/claim`: who writes this timeline, and where its history continues from.
package struct Claim: Sendable, Equatable, Codable {
  /// The last contiguous position of every ordinal, and the last snapshot, that the claimant found in the
  /// predecessor. For every reader the predecessor ends here; anything added later does not exist.
  package struct End: Sendable, Equatable, Codable {
    package struct OrdinalEnd: Sendable, Equatable, Codable {
      package var ordinal: Int
      package var offset: UInt64
      package init(ordinal: Int, offset: UInt64) {
        self.ordinal = ordinal
        self.offset = offset
      }
    }
    package var snapshots: Int
    package var ordinals: [OrdinalEnd]
    package init(snapshots: Int, ordinals: [OrdinalEnd]) {
      self.snapshots = snapshots
      self.ordinals = ordinals
    }
  }

  /// Why this start may be the result of an accident, and which state it would hide.
  package struct Suspicion: Sendable, Equatable, Codable {
    package struct Reason: InformingWord {
      package let rawValue: String
      package init(rawValue: String) { self.rawValue = rawValue }
      package static let empty = Reason(rawValue: "empty")
      package static let smaller = Reason(rawValue: "smaller")
      package static let older = Reason(rawValue: "older")
      package static let known: Set<Reason> = [empty, smaller, older]
    }
    package var reason: Reason
    package var detail: String
    package var pin: String
    package init(reason: Reason, detail: String, pin: String) {
      self.reason = reason
      self.detail = detail
      self.pin = pin
    }
  }

  /// Where a claim was made. This distinguishes a moved volume from a clone. Unknown facts are absent.
  package struct Place: Sendable, Equatable, Codable {
    /// The kernel's boot, from /proc/sys/kernel/random/boot_id.
    package var boot: String?
    /// The number that this kernel gave the file system of the data directory: `259:3`.
    package var device: String?
    /// A digest of the identity of the underlying block device.
    package var volume: String?
    package init(boot: String? = nil, device: String? = nil, volume: String? = nil) {
      self.boot = boot
      self.device = device
      self.volume = volume
    }
  }

  package var timeline: TimelineNumber
  package var nonce: Nonce
  package var repository: Nonce
  package var source: String
  package var instance: String
  package var directory: String
  package var claimedAt: Instant
  package var writer: String
  package var parent: TimelineNumber?
  package var fork: LogPosition?
  package var end: End?
  package var suspicion: Suspicion?
  /// Nil if release 0.1.0 wrote the claim.
  package var place: Place?

  package init(
    timeline: TimelineNumber, nonce: Nonce, repository: Nonce, source: String, instance: String,
    directory: String, claimedAt: Instant, writer: String, parent: TimelineNumber?,
    fork: LogPosition?, end: End?, suspicion: Suspicion?, place: Place? = nil
  ) {
    self.timeline = timeline
    self.nonce = nonce
    self.repository = repository
    self.source = source
    self.instance = instance
    self.directory = directory
    self.claimedAt = claimedAt
    self.writer = writer
    self.parent = parent
    self.fork = fork
    self.end = end
    self.suspicion = suspicion
    self.place = place
  }
}

/// `ops/pins/<id>`: a restore point that nothing may delete until the pin is released or expires.
package struct Pin: Sendable, Equatable, Codable {
  package struct Origin: InformingWord {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    /// Set by the shrink guard at a start that may be the result of an accident. Restores ask (exit 9) as
    /// long as this pin exists.
    package static let start = Origin(rawValue: "start")
    /// Set by the shrink guard because data was removed while Lifeboat watched.
    package static let drop = Origin(rawValue: "drop")
    package static let known: Set<Origin> = [start, drop]
  }
  package var id: String
  package var repository: Nonce
  package var origin: Origin
  package var reason: String
  package var at: Instant
  package var until: Instant
  /// The restore point: a snapshot and, with a log, the position of the cut.
  package var timeline: TimelineNumber
  package var snapshot: Int
  package var position: LogPosition?
  /// The name that a person gave to it; nil if the guard set it.
  package var name: String?

  package init(
    id: String, repository: Nonce, origin: Origin, reason: String, at: Instant, until: Instant,
    timeline: TimelineNumber, snapshot: Int, position: LogPosition?, name: String? = nil
  ) {
    self.id = id
    self.repository = repository
    self.origin = origin
    self.reason = reason
    self.at = at
    self.until = until
    self.timeline = timeline
    self.snapshot = snapshot
    self.position = position
    self.name = name
  }
}

extension Pin {
  /// Whether a person may give this name to a pin: `[a-z][a-z0-9-]{0,40}`. It is never the id of a restore
  /// point, which begins with a digit.
  package static func isName(_ text: some StringProtocol) -> Bool {
    guard let first = text.utf8.first, first >= 97, first <= 122 else { return false }
    return text.utf8.count <= 41
      && text.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 45 }
  }

  /// The id of a pin with a name. A name can be used again after its pin was released, so the id also has the
  /// time.
  package static func id(named name: String, at: Instant) -> String {
    "n\(decimal(max(0, at.milliseconds), width: 13))-\(name)"
  }

  /// The name in such an id; nil for other ids. This gives the name of a pin that can't be read.
  package static func name(inID id: String) -> String? {
    guard let dash = id.firstIndex(of: "-"), id.first == "n",
      id[..<dash].dropFirst().utf8.count >= 13,
      id[..<dash].dropFirst().utf8.allSatisfy({ $0 >= 48 && $0 <= 57 })
    else { return nil }
    let name = id[id.index(after: dash)...]
    return isName(name) ? String(name) : nil
  }
}

/// `ops/releases/<pin id>`: the pin of that id is released.
package struct Release: Sendable, Equatable, Codable {
  package var pin: String
  package var repository: Nonce
  package var at: Instant
  package var by: String
  package init(pin: String, repository: Nonce, at: Instant, by: String) {
    self.pin = pin
    self.repository = repository
    self.at = at
    self.by = by
  }
}
