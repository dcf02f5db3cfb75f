import BackupTypes
package import HistoryLogic
package import RepositoryAccess
import Synchronization
import SystemIO

/// The data of the repository for a live page (a *picture*). It is read in the background when someone opens
/// the page, at most once a minute. While nobody has the page open, the store gets no requests. Some time
/// after the last view, the memory is freed.
package final class PictureKeeper: Sendable {
  /// Reads a picture. It gets the memory of earlier readings.
  package typealias Read = @Sendable (ChronicleMemory) async throws -> Chronicle

  package struct Picture: Sendable {
    package var chronicle: Chronicle?
    package var isReading: Bool
    /// Why the last reading failed; nil if it did not.
    package var problem: String?
    /// There is provably no repository, and there was none before.
    package var isAbsent = false
  }

  package struct Times: Sendable {
    /// Milliseconds between two readings, and from the last view until the memory is freed.
    package var between: Int64 = 60_000
    package var kept: Int64 = 600_000
    package init() {}
  }

  private struct State: Sendable {
    var picture = Picture(chronicle: nil, isReading: false, problem: nil)
    var isWanted = false
    var lastLook: Int64 = 0
    /// When the last reading began; nil before the first.
    var lastRead: Int64?
  }

  private let state = Mutex(State())
  private let times: Times
  private let read: Read
  private let wake: AsyncStream<Void>.Continuation
  private let wakes: AsyncStream<Void>

  package init(times: Times = Times(), read: @escaping Read) {
    self.times = times
    self.read = read
    (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Returns the current picture. If that is old, begins to read a newer one. Never waits.
  package func look() -> Picture {
    let now = SystemClock.monotonicMilliseconds()
    let picture = state.withLock { state in
      state.lastLook = now
      if state.lastRead.map({ now - $0 >= times.between }) ?? true { state.isWanted = true }
      var shown = state.picture
      shown.isReading = shown.isReading || state.isWanted
      return shown
    }
    wake.yield()
    return picture
  }

  /// Returns the current picture without reading a newer one, for a page that is open already.
  package func glance() -> Picture {
    state.withLock { state in
      var shown = state.picture
      shown.isReading = shown.isReading || state.isWanted
      return shown
    }
  }

  /// Runs until its task is cancelled.
  package func run() async {
    for await _ in wakes {
      let memory = ChronicleMemory()
      while !Task.isCancelled, !forgets() {
        if takeWish() { await note(memory) }
        // A view does not wake this loop. A delay of a second does not matter.
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  private func takeWish() -> Bool {
    let now = SystemClock.monotonicMilliseconds()
    return state.withLock { state in
      guard state.isWanted else { return false }
      state.isWanted = false
      state.picture.isReading = true
      state.lastRead = now
      return true
    }
  }

  private func note(_ memory: ChronicleMemory) async {
    let result: Result<Chronicle, any Error>
    do {
      result = .success(try await read(memory))
    } catch {
      result = .failure(error)
    }
    state.withLock { state in
      state.picture.isReading = false
      state.picture.isAbsent = false
      switch result {
      case .success(let chronicle):
        state.picture.chronicle = chronicle
        state.picture.problem = nil
      case .failure(let error):
        let known = LifeboatError(wording: error)
        state.picture.isAbsent = known.code == .noBackup && state.picture.chronicle == nil
        state.picture.problem = state.picture.isAbsent ? nil : known.inOneLine
      }
    }
  }

  /// Frees everything if nobody has looked for a long time. Returns whether it did.
  private func forgets() -> Bool {
    let now = SystemClock.monotonicMilliseconds()
    return state.withLock { state in
      guard !state.isWanted, now - state.lastLook >= times.kept else { return false }
      state = State()
      return true
    }
  }
}
