import BackupTypes
import Glibc
import HistoryLogic
import RedisFormats
import SystemIO
import SystemPackage

/// Reads the persistence settings of a redis.conf.
enum RedisConf {
  static func read(_ path: FilePath) throws(LifeboatError) -> (ServerNames, AppendOnly?) {
    let configuration = try parse(path)
    if let include = configuration.unread.first {
      Console.warn(
        "\(path) includes \(printable(include)), which can't be read here and may set anything: pass the "
          + "file names as flags" + (configuration.appendOnly == nil ? ", and --appendonly" : ""))
    }
    var names = ServerNames()
    names.dump = configuration.dumpName ?? names.dump
    names.appendFile = configuration.appendName ?? names.appendFile
    names.appendDirectory = configuration.appendDirectoryName ?? names.appendDirectory
    // Redis's default is no, but a file that is not read here may set it.
    let silent: AppendOnly? = configuration.unread.isEmpty ? .no : nil
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
      return try RedisConfiguration(parsing: bytes, including: included)
    } catch {
      throw LifeboatError(.usage, "\(path), line \(error.line)", cause: error.reason)
    }
  }

  /// The files that an `include` stands for. Nil if one of them can't be read or does not exist, or if the
  /// path is relative: only the server knows to which directory. As in Redis, a pattern may match nothing if
  /// its directory exists.
  private static func included(_ path: String) -> [[UInt8]]? {
    guard path.hasPrefix("/") else { return nil }
    let isPattern = path.utf8.contains { $0 == 0x2a || $0 == 0x3f || $0 == 0x5b }
    var found = glob_t()
    defer { globfree(&found) }
    let result = glob(path, GLOB_ERR, nil, &found)
    if result == GLOB_NOMATCH, isPattern {
      let folder = FilePath(path).removingLastComponent()
      return (try? OpenDirectory(folder)) == nil ? nil : []
    }
    guard result == 0 else { return nil }
    var contents: [[UInt8]] = []
    for index in 0..<Int(found.gl_pathc) {
      guard let name = found.gl_pathv[index],
        let bytes = try? OpenFile(
          reading: FilePath(String(cString: name)), links: .follow
        ).readAll(limit: 1 << 20)
      else { return nil }
      contents.append(bytes)
    }
    return contents
  }
}
