package import BackupTypes

/// How Lifeboat proves to a server who it is.
package struct LinkCredentials: Sendable, Hashable {
  /// nil: the default user.
  package var user: String?
  package var password: Redacted

  package init(user: String?, password: Redacted) {
    self.user = user
    self.password = password
  }

  /// The least permissions that the user of a link needs, as arguments of ACL SETUSER.
  package static let minimalRules = "+psync +replconf +info"
  /// The same for a Sentinel that has users.
  package static let sentinelRules = "+sentinel|get-master-addr-by-name"
}

/// How long a session waits, in milliseconds.
package struct LinkLimits: Sendable, Hashable {
  /// For name resolution, TCP and TLS together.
  package var connect: Int
  /// For a whole reply, and until all bytes of a command are sent.
  package var reply: Int

  package init(connect: Int, reply: Int) {
    self.connect = connect
    self.reply = reply
  }
}
