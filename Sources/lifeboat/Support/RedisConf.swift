import BackupTypes
import HistoryLogic
import RedisFormats
import SystemIO
import SystemPackage

/// Reads the persistence settings of a redis.conf.
enum RedisConf {
  static func read(_ path: FilePath) throws(LifeboatError) -> (ServerNames, AppendOnly?) {
    let configuration = try parse(path)
    if let include = configuration.includes.first {
      Console.warn(
        "\(path) includes \(printable(include)), which is not read: pass the file names as flags")
    }
    var names = ServerNames()
    names.dump = configuration.dumpName ?? names.dump
    names.appendFile = configuration.appendName ?? names.appendFile
    names.appendDirectory = configuration.appendDirectoryName ?? names.appendDirectory
    // Redis's own default is no, unless a file that is not read here sets it otherwise.
    let silent: AppendOnly? = configuration.includes.isEmpty ? .no : nil
    return (names, configuration.appendOnly.map { $0 ? .yes : .no } ?? silent)
  }

  static func parse(_ path: FilePath) throws(LifeboatError) -> RedisConfiguration {
    let bytes: [UInt8]
    do throws(LifeboatError) {
      bytes = try OpenFile(reading: path, links: .follow).readAll(limit: 1 << 20)
    } catch {
      throw LifeboatError(
        .usage, "can't read --redis-conf \(path)", cause: error.inOneLine, hint: error.hint)
    }
    do throws(RedisConfigurationFault) {
      return try RedisConfiguration(parsing: bytes)
    } catch {
      throw LifeboatError(.usage, "\(path), line \(error.line)", cause: error.reason)
    }
  }
}
