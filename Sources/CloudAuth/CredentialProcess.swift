import BackupTypes

/// `credential_process`: a command of the operator that prints credentials as JSON, version 1.
///
/// It runs without a shell; as in botocore, its words are split as a shell would. Its environment does not
/// contain our own secrets. What it prints to standard error is not shown, since that could contain secrets.
struct CredentialProcess: Sendable {
  /// Long enough for a slow service, but not for a person who has to type something.
  static let timeLimit = Duration.seconds(60)
  private static let outputBytesMax = 64 << 10
  /// The variables that a helper must not see.
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

  /// Words separated by white space. White space in quotes does not separate, and a backslash outside of
  /// single quotes makes the next character literal.
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
