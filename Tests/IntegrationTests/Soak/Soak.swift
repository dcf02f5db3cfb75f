import Glibc

/// How long loops run: `LIFEBOAT_SOAK` seconds, or short without it.
enum Soak {
  static func seconds(_ usual: Int) -> Int { number("LIFEBOAT_SOAK") ?? usual }

  /// `LIFEBOAT_SOAK_SEED`, to repeat the random choices of an earlier run, or else a random seed.
  static var seed: UInt64 {
    number("LIFEBOAT_SOAK_SEED").map { UInt64($0) } ?? UInt64.random(in: 1...999_999)
  }

  /// `LIFEBOAT_SOAK_STORE`: `s3` (SeaweedFS) or `directory`.
  static var storeKind: String {
    getenv("LIFEBOAT_SOAK_STORE").map { String(cString: $0) } ?? "s3"
  }

  private static func number(_ variable: String) -> Int? {
    getenv(variable).flatMap { Int(String(cString: $0)) }
  }
}
