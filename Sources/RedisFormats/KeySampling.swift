/// Chooses keys by a hash of their names. Any file in any order gives the same keys, so the effect of a log
/// on a chosen key can be followed. The share is reduced as the number of keys grows.
package struct KeySampling: Sendable, Equatable {
  /// Names longer than this are never chosen.
  package static let nameBytesMax = 1024
  private let seed: UInt64
  /// Keys with a hash below this are chosen.
  private var limit = UInt64.max

  package init(seed: UInt64) { self.seed = seed }

  package func includes(_ name: some Collection<UInt8>) -> Bool {
    name.count <= KeySampling.nameBytesMax && hash(name) <= limit
  }

  /// From now on half as many are chosen. All of them were also chosen before.
  package mutating func halve() { limit >>= 1 }

  /// FNV-1a with a finalizer that mixes its upper bits.
  private func hash(_ name: some Collection<UInt8>) -> UInt64 {
    var value: UInt64 = 0xcbf2_9ce4_8422_2325 ^ seed
    for byte in name { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
    value = (value ^ value >> 33) &* 0xff51_afd7_ed55_8ccd
    value = (value ^ value >> 33) &* 0xc4ce_b9fe_1a85_ec53
    return value ^ value >> 33
  }
}

/// A key from a walk, and the position of its value in the file.
package struct RDBKeyPlace: Sendable, Equatable {
  package var database: Int
  package var name: [UInt8]
  /// The type byte before the key.
  package var type: UInt8
  package var isValkey: Bool
  package var value: Range<UInt64>
  /// Unix milliseconds.
  package var expiresAt: Int64?
}

/// The places of the chosen keys of a walk.
package struct RDBKeyPlaces: Sendable {
  package private(set) var sampling: KeySampling
  package private(set) var places: [RDBKeyPlace] = []
  private let countMax: Int
  /// The key whose value is being walked.
  private var name: [UInt8]?

  package init(_ sampling: KeySampling, countMax: Int) {
    self.sampling = sampling
    self.countMax = countMax
  }

  mutating func begin(_ name: [UInt8]) { self.name = sampling.includes(name) ? name : nil }

  mutating func end(
    database: Int, type: UInt8, isValkey: Bool, value: Range<UInt64>, expiresAt: Int64?
  ) {
    guard let name else { return }
    self.name = nil
    places.append(
      RDBKeyPlace(
        database: database, name: name, type: type, isValkey: isValkey, value: value,
        expiresAt: expiresAt))
    while places.count > countMax {
      sampling.halve()
      places.removeAll { !sampling.includes($0.name) }
    }
  }
}
