import BackupTypes
import Testing

@Suite struct ProgressBarTests {
  private let mebibyte: UInt64 = 1 << 20

  @Test func `a line has the part, the bytes, the rate and the time that is left`() {
    let bar = ProgressBar("restoring", 250 * mebibyte, of: 1000 * mebibyte)
    #expect(
      bar.line(elapsed: 5000, columns: 79, isUnicode: false)
        == "restoring ####------------ 25 %  250.0 MiB of 1000.0 MiB  50.0 MiB/s  15 s left")
    let objects = ProgressBar("deleting", 400, of: 1000, .object)
    #expect(
      objects.line(elapsed: 4000, columns: 79, isUnicode: true)
        == "deleting █████████░░░░░░░░░░░░░░░ 40 %  400 of 1000 objects  100/s  6 s left")
  }

  @Test func `the rate is that of what was done since the label appeared`() {
    var bar = ProgressBar("restoring", 300 * mebibyte, of: 1000 * mebibyte)
    bar.begun = 250 * mebibyte
    #expect(
      bar.line(elapsed: 5000, columns: 79, isUnicode: false)
        == "restoring ###------- 30 %  300.0 MiB of 1000.0 MiB  10.0 MiB/s  1 min 10 s left")
  }

  @Test func `before there is a rate, a line has the elapsed time`() {
    let bar = ProgressBar("reading", 0, of: 1, .record)
    #expect(
      bar.line(elapsed: 61_500, columns: 79, isUnicode: false)
        == "reading ------------------------ 0 %  0 of 1 record  1 min 1 s")
    let fleet = ProgressBar("reading", 3, of: 12, .repository)
    #expect(
      fleet.line(elapsed: 500, columns: 79, isUnicode: false)
        == "reading ######------------------ 25 %  3 of 12 repositories  0 s")
  }

  @Test func `a complete bar has no time left, and done never exceeds the total`() {
    let bar = ProgressBar("verifying", 12, of: 10, .object)
    #expect(
      bar.line(elapsed: 1000, columns: 79, isUnicode: false)
        == "verifying ######################## 100 %  10 of 10 objects  10/s")
  }

  @Test(arguments: [UInt64(1), 4095, 1 << 30, 1 << 50, .max])
  func `no line is wider than the terminal`(total: UInt64) {
    for done in [0, 1, total / 3, total] {
      for elapsed in [Int64(0), 999, 1000, 3_600_000, Int64.max / 2000] {
        for columns in [20, 79] {
          let line = ProgressBar("uploading", done, of: total)
            .line(elapsed: elapsed, columns: columns, isUnicode: true)
          #expect(line.count <= columns, "\(line)")
        }
      }
    }
  }
}
