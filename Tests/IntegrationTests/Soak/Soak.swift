import Glibc

/// How long loops run: short in every run, `LIFEBOAT_SOAK` seconds where someone soaks.
enum Soak {
  static func seconds(_ usual: Int) -> Int { number("LIFEBOAT_SOAK") ?? usual }

  /// `LIFEBOAT_SOAK_SEED`, to draw again what a run before drew; else another one each time.
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
