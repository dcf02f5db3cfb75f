/// The names that a server's configuration gives its files.
package struct ServerNames: Sendable, Equatable {
  /// `dbfilename`.
  package var dump = "dump.rdb"
  /// `appendfilename`.
  package var appendFile = "appendonly.aof"
  /// `appenddirname`.
  package var appendDirectory = "appendonlydir"
  package init() {}
  package var manifest: String { appendFile + ".manifest" }
}
