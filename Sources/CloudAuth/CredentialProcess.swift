import BackupTypes

/// `credential_process`: a command of the operator's that prints credentials as JSON, version 1.
///
/// It is run without a shell, its words split as a shell would, like botocore does; our own secrets
/// are kept out of its environment. What it prints to standard error is not shown, since nobody
/// knows what is in it.
struct CredentialProcess: Sendable {
  /// A helper may ask a slow service, but a person can't be waited for.
  static let timeLimit = Duration.seconds(60)
  private static let outputBytesMax = 64 << 10
  /// Of the environment, what a helper must not see.
  private static let secretVariables: Set<String> = [
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY", "AWS_SECURITY_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
  ]

  let settings: AWSSettings

  func run(_ command: String) async throws -> AWSCredentials {
    let words = CredentialProcess.split(command)
    guard let program = words.first else { throw credentialFailure("credential_process is empty") }
    let origin = "the credential process \(printable(program))"
    let environment = settings.environment.filter {
      !CredentialProcess.secretVariables.contains($0.key) && !$0.key.hasPrefix("LIFEBOAT_")
    }
    let result = try HelperProgram(words: words, environment: environment).run(
      outputBytesMax: CredentialProcess.outputBytesMax, timeLimit: CredentialProcess.timeLimit)
    guard result.status == 0 else {
      throw credentialFailure(
        "\(origin) failed", cause: result.ending,
        hint: "run the command of credential_process by hand, as the user of this process",
        isRetryable: true)
    }
    let decoded = try TemporaryCredentials.decode(result.output, origin: origin)
    guard decoded.version == 1 else {
      throw credentialFailure(
        "can't read the reply of \(origin)", cause: "its Version is not 1")
    }
    return try decoded.credentials(origin: origin)
  }

  /// Words separated by white space; quotes keep them together, and outside of single quotes a
  /// backslash takes the next character as it is.
  static func split(_ command: String) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var isEscaped = false
    for character in command {
      if isEscaped {
        word = (word ?? "") + String(character)
        isEscaped = false
      } else if character == "\\", quote != "'" {
        isEscaped = true
      } else if character == quote {
        quote = nil
      } else if quote != nil {
        word = (word ?? "") + String(character)
      } else if character == "\"" || character == "'" {
        quote = character
        word = word ?? ""
      } else if character.isWhitespace {
        if let word { words.append(word) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    if let word { words.append(word) }
    return words
  }
}
