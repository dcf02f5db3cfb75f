import CLinux
import SystemPackage

/// `count` random bytes from the kernel (getrandom(2)), for keys and nonces.
package func secureRandomBytes(_ count: Int) -> [UInt8] {
  precondition(count >= 0, "\(count) random bytes")
  return [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
    done = 0
    while done < count {
      switch retryingInterrupts({ clinux_getrandom(buffer.baseAddress! + done, count - done) }) {
      case .success(let written): done += written
      // Without flags, it can only fail for a bad address or a kernel before 3.17.
      case .failure(let number): preconditionFailure("getrandom: \(number)")
      }
    }
  }
}
