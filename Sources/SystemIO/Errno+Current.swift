import Glibc
import SystemPackage

extension Errno {
  /// The error number of the last failed call of this thread. Read it before any other call.
  static var current: Errno { Errno(rawValue: errno) }

  /// Whether file systems return this number for an unsupported operation or flag.
  var meansUnsupported: Bool {
    switch self {
    case .invalidArgument, .noFunction, .notSupported, .notSupportedOnSocket: true
    default: false
    }
  }
}
