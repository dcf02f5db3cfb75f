import Auditing
import BackupTypes
import Codec
import Logging
import ObjectStorage
import Shipping
import SystemIO
import SystemPackage
import WriterLogic

extension Shipper {
  /// A shipper of a directory, in this process.
  static func made(
    of directory: String, to store: any ObjectStore, time: any TimeSource = SystemClock(),
    _ change: (inout Options) -> Void = { _ in }
  ) -> Shipper {
    let (path, names) = (FilePath(directory), ServerNames())
    var options = Options(
      data: path, names: names, compression: .none, source: "s", host: "h", takesOver: false,
      isOnce: false, writing: .init(), readLimit: nil, pinnedMax: 1 << 30, shutdownTimeout: 1000,
      writer: "test")
    change(&options)
    return Shipper(
      options: options, store: store, status: ShipStatus(time: time), stop: StopRequest(time: time),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, time: time,
      audited: SourceLook(path, names: names, time: time)
    ) { () throws(LifeboatError) in try Capture(path, names: names, time: time) }
  }
}
