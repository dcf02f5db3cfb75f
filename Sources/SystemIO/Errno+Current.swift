import Glibc
import SystemPackage

extension Errno {
  /// What the last failed call of this thread left behind; read it before anything else runs.
  static var current: Errno { Errno(rawValue: errno) }

  /// Whether a file system answers so when it does not know an operation or a flag at all.
  var meansUnsupported: Bool {
    switch self {
    case .invalidArgument, .noFunction, .notSupported, .notSupportedOnSocket: true
    default: false
    }
  }
}
