import BackupTypes
import Logging
import Shipping
import SystemIO

/// Receives a full copy, as long as the shipper reads it.
struct CopyReceiver {
  let time: any TimeSource
  /// Signalled when there is room for more bytes.
  let bell: WaitPoint
  let logger: Logger

  /// Returns the bytes that came after the copy.
  func run(
    _ wire: inout LinkWire, into base: LinkBase, isStopped: () -> Bool
  ) throws(LifeboatError) -> [UInt8] {
    var transfer = CopyTransfer()
    var shownAt: Int64?
    while !isStopped() {
      // A server drops a replica that sends nothing for too long. This acknowledgement of offset 0 claims
      // nothing, and makes the server start the stream after a diskless copy.
      if shownAt.map({ time.monotonic - $0 >= LinkReceiver.acknowledgeInterval }) ?? true {
        shownAt = time.monotonic
        try wire.acknowledge(0)
      }
      if base.isLost {
        throw LifeboatError(.failure, "the full copy is no longer needed", isRetryable: true)
      }
      if base.isFull {
        bell.wait(milliseconds: LinkReceiver.acknowledgeInterval)
        continue
      }
      let bytes = try wire.receive(waiting: LinkReceiver.acknowledgeInterval)
      for part in try transfer.consume(bytes) {
        switch part {
        case .content(let content):
          do throws(LifeboatError) { try base.append(content) } catch {
            logger.warning(
              "the full copy is no longer spooled: the server waits for the store from now on",
              metadata: error.logged)
          }
        case .end(let rest):
          base.end()
          return rest
        }
      }
    }
    throw LifeboatError(.failure, "the link was closed", isRetryable: true)
  }
}
