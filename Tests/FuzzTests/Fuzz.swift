import Glibc

/// The program of `scripts/fuzz`. Its `main` is libFuzzer's. `LIFEBOAT_FUZZ` names the target.
private let target = getenv("LIFEBOAT_FUZZ").flatMap { FuzzTarget(rawValue: String(cString: $0)) }

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let target else {
    print("fuzz: LIFEBOAT_FUZZ is one of \(FuzzTarget.allCases.map(\.rawValue))")
    exit(2)
  }
  do {
    try target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  } catch {
    fatalError("\(error)")
  }
  return 0
}
