import BackupTypes
import Logging
import ObjectStorage
import RepositoryAccess
import Shipping
import StatusPages

/// What runs next to a sidecar's loop: its pages and a heartbeat. Ends with `stop`.
struct ShipService {
  private let tasks: [Task<Void, Never>]

  init(
    pages: ShipPages, listen: ListenAddress?, admin: ListenAddress?, adminHosts: [String],
    heartbeat: Heartbeat?, logger: Logger
  ) {
    var tasks: [Task<Void, Never>] = []
    if let listen {
      tasks.append(Task { await ShipService.serve(listen, logger) { pages.open($0) } })
    }
    if let admin {
      tasks.append(
        Task {
          await ShipService.serve(admin, logger) { pages.admin($0, at: admin, names: adminHosts) }
        })
      tasks.append(Task { await pages.pictures.run() })
    }
    if let heartbeat { tasks.append(Task { await heartbeat.run() }) }
    self.tasks = tasks
  }

  func stop() { for task in tasks { task.cancel() } }

  /// A port that is not available does not end `ship`: it is logged once, and tried again.
  private static func serve(
    _ address: ListenAddress, _ logger: Logger, _ handler: @escaping PageServer.Handler
  ) async {
    var isTold = false
    while !Task.isCancelled {
      do {
        let server = try await PageServer.start(address, handler)
        logger.info("listening", metadata: ["address": "\(address)", "port": "\(server.port)"])
        // Runs until it is cancelled.
        try? await Task.sleep(for: .seconds(1 << 40))
        return await server.stop()
      } catch {
        if !isTold {
          logger.error("can't listen; retrying every 10 s", metadata: error.logged)
        }
        isTold = true
        try? await Task.sleep(for: .seconds(10))
      }
    }
  }
}
