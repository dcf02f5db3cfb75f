package import BackupTypes

extension LifeboatError {
  /// This error as the reason why an operation on the store failed.
  ///
  /// - Parameter operation: `read s3://bucket/name`.
  package func during(_ operation: String) -> LifeboatError {
    var named = self
    named.message = "can't " + operation
    named.cause = inOneLine
    return named
  }
}
