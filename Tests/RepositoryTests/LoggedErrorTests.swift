import BackupTypes
import Logging
import Shipping
import Testing

/// The facts of an error in the log. A remedy has a field of its own, so that a line can be searched for it.
@Suite struct LoggedErrorTests {
  @Test func `cause and remedy are fields of their own`() {
    let error = LifeboatError(
      .failure, "can't read a", cause: "permission denied", hint: "run as the user of the server")
    #expect(
      error.logged == [
        "cause": "can't read a: permission denied", "remedy": "run as the user of the server",
      ])
    #expect(LifeboatError(.failure, "can't read a").logged == ["cause": "can't read a"])
  }

  @Test func `an error of another type has only a cause`() {
    #expect(CancellationError().logged.keys.elementsEqual(["cause"]))
  }
}
