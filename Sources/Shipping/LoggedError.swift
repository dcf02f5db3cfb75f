import BackupTypes
package import Logging

extension Error {
  /// The facts of a log line about this error: `cause`, and `remedy` if an operator can do something.
  package var logged: Logger.Metadata {
    guard let error = self as? LifeboatError else { return ["cause": "\(self)"] }
    var facts: Logger.Metadata = ["cause": "\(error.inOneLine)"]
    if let hint = error.hint { facts["remedy"] = "\(hint)" }
    return facts
  }
}
