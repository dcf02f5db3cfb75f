import BackupTypes
package import SystemIO

/// The data directory of a node of a cluster. A server keeps its node id and its hash slots in its
/// `cluster-config-file`, which it holds open and rewrites. That file is not part of a backup: a restored
/// node must not return with an old state of the cluster.
package enum ClusterNode {
  /// The file that `cluster-config-file` usually names: `nodes.conf`, or `nodes-7000.conf`. Nil: there is none.
  package static func file(in directory: OpenDirectory) -> String? {
    var found: String?
    try? directory.forEachEntry { entry in
      guard entry.isUTF8, entry.kind == .regular, entry.name.hasPrefix("nodes"),
        entry.name.hasSuffix(".conf")
      else { return }
      found = min(found ?? entry.name, entry.name)
    }
    return found
  }

  /// The remark about a directory that is backed up.
  package static func backup(_ file: String) -> String {
    "\(printable(file)): this is a cluster node. Its keys are backed up, but this file, with its identity "
      + "and hash slots, is not. Each node needs its own repository"
  }

  /// What an operator has to know before a server starts on a directory; nil if there is nothing.
  /// - Parameter hasSlots: whether the data records the hash slots of its keys.
  package static func words(file: String?, hasSlots: Bool) -> String? {
    if let file {
      return
        "\(printable(file)) exists and is not changed: a server in cluster mode starts as this node, and "
        + "keeps only keys of its hash slots"
    }
    guard hasSlots else { return nil }
    return
      "a cluster node wrote the data, and nodes.conf is not part of a backup: a server in cluster mode "
      + "starts as a new node that has the hash slots of these keys. Give it the node's other slots with "
      + "CLUSTER ADDSLOTS, then add it with CLUSTER MEET"
  }
}
