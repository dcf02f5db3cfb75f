import BackupTypes
import HistoryLogic

/// Where an instant is chosen, and the command for it.
struct RestoreChooser {
  let chronicle: Chronicle
  let command: RestoreCommand

  init(_ chronicle: Chronicle, _ command: RestoreCommand) {
    self.chronicle = chronicle
    self.command = command
  }

  var html: HTML {
    """
    <section aria-labelledby="restore" class="restore"><h2 id="restore">Restore</h2>\
    <div class="script chooser"><div class="fields">\
    <label for="instant">Instant (UTC)</label>\
    <input type="text" id="instant" size="20" autocomplete="off" placeholder="2026-11-22 14:02:07">\
    <div class="buttons"><button type="button" data-step="-3600">−1 h</button>\
    <button type="button" data-step="-60">−1 min</button>\
    <button type="button" data-step="-1">−1 s</button>\
    <button type="button" data-step="1">+1 s</button>\
    <button type="button" data-step="60">+1 min</button>\
    <button type="button" data-step="3600">+1 h</button>\
    <button type="button" id="newest">Newest</button></div></div>\
    <label for="slider" class="hidden">Instant, by a slider</label>\
    <input type="range" id="slider" min="0" max="2000" value="2000"></div>\
    <p id="meaning" role="status">\(unasked?.words ?? newest)</p>\
    <div class="command"><pre tabindex="0" aria-label="Restore command"><code id="command">\
    \(command.line(unasked?.argument ?? ""))</code></pre>\
    <button type="button" id="copy" class="script">Copy</button></div>\
    <p class="note">DIR is the data directory of a stopped or new server\(chronicle.cipher == "none" ? "" : ", KEYFILE the file with the repository's key" as HTML). \
    Add <code>--dry-run</code> to see the plan, <code>--replace</code> to move the existing files aside.</p>\
    </section>
    """
  }

  /// The state that is offered before somebody chooses, if it is not the newest one: a state after a possible
  /// accident is never offered.
  private var unasked: (words: HTML, argument: String)? {
    chronicle.unasked.map { ("\($0.words)", $0.argument) }
  }

  private var newest: HTML {
    guard let newest = chronicle.newest else {
      return chronicle.recordsUnreadable > 0
        ? "The newest restore point can't be read: choose an instant before it."
        : "There is no restore point."
    }
    return "The newest restore point, \(newest.id) of \(moment(newest.at))."
  }
}

extension Chronicle {
  /// The words and the `restore` options for a state that is offered in place of the newest.
  var unasked: (words: String, argument: String)? {
    if suspicion != nil {
      return (
        "The newest state may be the result of an accident: this restores the one before it.",
        "--suspect before"
      )
    }
    return openRemoval.map {
      (
        "\($0.text) This restores the state before it. For the state after it press Newest.",
        $0.restore
      )
    }
  }
}
