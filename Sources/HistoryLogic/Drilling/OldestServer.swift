package import BackupFormat

extension DatasetRecord {
  /// The oldest server that loads an RDB of this magic and version, if it has the modules; nil: not known.
  /// Valkey and Redis do not load what the other writes in the versions of their own.
  package var oldestServer: String? {
    switch rdbVersion {
    case 1...8: "Redis 4.0, Valkey 7.2"
    case 9: "Redis 5.0, Valkey 7.2"
    case 10: "Redis 7.0, Valkey 7.2"
    case 11: "Redis 7.2, Valkey 7.2"
    case 12: "Redis 7.4"
    case 13: "Redis 8.6"
    case 14: "Redis 8.8"
    case 15: "Redis 8.10"
    case 80: "Valkey 9.0"
    case 81: "Valkey 9.2"
    default: nil
    }
  }
}
