package import BackupFormat
package import BackupTypes

extension DatasetRecord {
  /// The first release lines of Redis and of Valkey that load an RDB of this version; nil if there is none.
  /// Each of them refuses the RDB versions that only the other one uses: 12 to 79 are Redis's, 80 and up
  /// Valkey's.
  private var firstLines: (redis: (Int, Int)?, valkey: (Int, Int)?)? {
    switch rdbVersion {
    case 1...8: ((4, 0), (7, 2))
    case 9: ((5, 0), (7, 2))
    case 10: ((7, 0), (7, 2))
    case 11: ((7, 2), (7, 2))
    case 12: ((7, 4), nil)
    case 13: ((8, 6), nil)
    case 14: ((8, 8), nil)
    case 15: ((8, 10), nil)
    case 80: (nil, (9, 0))
    case 81: (nil, (9, 2))
    default: nil
    }
  }

  /// The oldest server that loads an RDB of this magic and version, if it has the modules; nil if unknown.
  package var oldestServer: String? {
    guard let lines = firstLines else { return nil }
    let names = [("Redis", lines.redis), ("Valkey", lines.valkey)].compactMap { name, line in
      line.map { "\(name) \($0.0).\($0.1)" }
    }
    return names.joined(separator: ", ")
  }

  /// Whether a server of that release loads it, according to its magic and version alone; nil if unknown.
  package func loads(in server: ServerRelease) -> Bool? {
    guard let lines = firstLines else { return nil }
    let first = server.product == .redis ? lines.redis : lines.valkey
    return first.map { server.line >= $0 } ?? false
  }
}

extension RestorePlan {
  /// Checks whether a server of that release loads the files that would be restored. If that is unknown, it
  /// adds a warning.
  ///
  /// - Throws: `.versionMismatch` if it does not.
  package mutating func check(for server: ServerRelease) throws(LifeboatError) {
    var copies: [(name: String, dataset: DatasetRecord?)] = []
    for file in files {
      if case .generation(let index) = file.content { copies.append((file.path, index.dataset)) }
    }
    if copies.isEmpty, let dataset { copies.append(("the full copy", dataset)) }
    var isKnown = !copies.isEmpty
    for (name, dataset) in copies {
      // A file without keys may have no version: a BASE of no bytes.
      if let dataset, dataset.isEmpty, dataset.rdbVersion == 0 { continue }
      switch dataset?.loads(in: server) {
      case true?: break
      case nil: isKnown = false
      case false?:
        throw misfit(
          server,
          "\(printable(name)) is RDB version \(dataset!.rdbVersion), which "
            + "\(dataset!.oldestServer ?? "no server") and newer load")
      }
    }
    if server.product == .redis, server.line < (7, 0),
      files.contains(where: { $0.role == .manifest })
    {
      throw misfit(server, "its AOF has several files, which Redis 7.0 and newer and Valkey load")
    }
    if server.product == .redis, server.line < (6, 2),
      files.contains(where: { if case .stream = $0.content { true } else { false } })
    {
      throw misfit(server, "its log has absolute expiries (PXAT), which Redis 6.2 and newer load")
    }
    if !isKnown {
      warnings.append(
        "it is not known whether \(server) loads this: the full copy has no version, or an unknown one"
      )
    }
  }

  private func misfit(_ server: ServerRelease, _ cause: String) -> LifeboatError {
    LifeboatError(
      .versionMismatch, "\(server) can't load the restore point \(point.id)", cause: cause,
      hint: "nothing was changed; use such a server, or choose a point that an older one wrote "
        + "(`lifeboat list`)")
  }
}
