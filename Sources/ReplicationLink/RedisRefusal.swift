import BackupTypes

/// What an error reply of a server means to an operator.
struct RedisRefusal {
  /// Without the minus: `NOAUTH Authentication required.`
  let words: String
  /// The name of the command that was refused.
  let command: String
  let address: LinkAddress

  var error: LifeboatError {
    switch kind {
    case "NOAUTH":
      return refused(
        "the Redis server \(address) requires a password",
        hint: "put it into a file for --redis-password-file, or into LIFEBOAT_REDIS_PASSWORD; an"
          + " ACL user is part of the URL: redis://user@host")
    case "WRONGPASS":
      return refused(
        "the Redis server \(address) rejects this user and password",
        hint: "check the user in the URL (none is the default user) and the password, and that"
          + " the user is enabled (ACL LIST)")
    case "NOPERM" where command == "SENTINEL":
      return refused(
        "the user of the Sentinel \(address) may not ask for the primary",
        hint: "allow this: ACL SETUSER <user> \(LinkCredentials.sentinelRules)")
    case "NOPERM":
      return refused(
        "the user of the Redis server \(address) may not run \(command)",
        hint: "allow what a replica needs: ACL SETUSER <user> \(LinkCredentials.minimalRules)")
    case "DENIED":
      return refused(
        "the Redis server \(address) does not accept connections from other machines",
        hint: "it is in protected mode: give it a password (requirepass, or an ACL user)")
    case "LOADING":
      return retried(
        "the Redis server \(address) is loading its data", hint: "Lifeboat retries until it is up")
    case "NOMASTERLINK", "MASTERDOWN":
      return retried(
        "the Redis server \(address) is a replica without a link to its primary",
        hint: "check the primary (INFO replication names it as master_host); Lifeboat retries")
    case "BUSY":
      return retried(
        "the Redis server \(address) is busy with a script",
        hint: "Lifeboat retries; SCRIPT KILL or FUNCTION KILL would end the script")
    default:
      return other
    }
  }

  private var other: LifeboatError {
    let lower = shown.lowercased()
    if command == "AUTH", lower.contains("without any password configured") {
      return refused(
        "the Redis server \(address) has no password, and one was given",
        hint: "leave the password out, or set requirepass; an ACL user is part of the URL:"
          + " redis://user@host")
    }
    if command == "AUTH", lower.contains("invalid password") {
      return refused(
        "the Redis server \(address) rejects this password", hint: "check the password")
    }
    if lower.contains("max number of clients") {
      return retried(
        "the Redis server \(address) has too many clients",
        hint: "raise maxclients, or find who holds the connections: CLIENT LIST")
    }
    if lower.hasPrefix("err unknown command") {
      return refused(
        "the Redis server \(address) does not know \(command)",
        hint: "if its configuration renames the command (rename-command), restore its name;"
          + " services that hide it can't be backed up over replication")
    }
    return refused("the Redis server \(address) refused \(command)", hint: nil)
  }

  private var kind: Substring { words.prefix { $0 != " " } }

  /// The reply without the arguments. Servers repeat them if they don't know a command, and for AUTH one of
  /// them is the password.
  private var shown: String {
    var text = words
    if let range = words.firstRange(of: "with args") { text = String(words[..<range.lowerBound]) }
    while let last = text.last, last == " " || last == "," { text.removeLast() }
    return printable(text)
  }

  private func refused(_ message: String, hint: String?) -> LifeboatError {
    LifeboatError(.failure, message, cause: shown, hint: hint)
  }

  private func retried(_ message: String, hint: String) -> LifeboatError {
    LifeboatError(.failure, message, cause: shown, hint: hint, isRetryable: true)
  }
}
