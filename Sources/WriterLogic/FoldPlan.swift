package import BackupFormat
import BackupTypes

/// Gathers the small log objects of one file until there are enough to merge them into one (a *fold*).
///
/// A fold writes an object that covers others. The covered objects are deleted after a grace period, so
/// that a reader that planned with them still finds them. Folded bytes are not gathered again, so a byte of
/// the log is sent at most twice.
package struct FoldGatherer: Sendable, Equatable {
  /// A fold is due at this many small objects, or at `bytesMax` bytes of them.
  package static let objectsMax = 600
  package static let bytesMax = UInt64(LogPayload.bytesMax)
  /// An object of this size or more stays as it is.
  package static let smallBelow = bytesMax / 2

  /// One object that replaces several.
  package struct Fold: Sendable, Equatable {
    package var pin: PinID
    package var ordinal: Int
    package var parts: [LogSpan]
    package var marks: [Mark]
    package var from: UInt64 { parts.first!.from }
    package var to: UInt64 { parts.last!.to }
  }

  private let pin: PinID
  private let ordinal: Int
  private var parts: [LogSpan] = []
  private var marks: [Mark] = []
  private var bytes: UInt64 = 0

  package init(pin: PinID, ordinal: Int) {
    self.pin = pin
    self.ordinal = ordinal
  }

  /// Adds an object that became durable, and its marks. Returns the fold that is now due, if any.
  package mutating func add(_ span: LogSpan, marks newMarks: [Mark]) -> Fold? {
    let continues = parts.last.map { $0.to == span.from } ?? true
    let isSmall = span.count < FoldGatherer.smallBelow && span.mark != nil
    var due: Fold?
    let marksFit = marks.count + newMarks.count < LogPayload.marksMax
    if !continues || !isSmall || !marksFit || bytes + span.count > FoldGatherer.bytesMax {
      due = take()
    }
    guard isSmall else { return due }
    parts.append(span)
    bytes += span.count
    marks += newMarks
    marks.append(Mark(offset: span.to, time: span.mark!, kind: .seen))
    if parts.count >= FoldGatherer.objectsMax { due = due ?? take() }
    return due
  }

  /// No more objects will come. What was gathered is folded, too, so that each file leaves few objects
  /// behind.
  package mutating func finish() -> Fold? { take() }

  private mutating func take() -> Fold? {
    defer {
      parts = []
      marks = []
      bytes = 0
    }
    guard parts.count > 1 else { return nil }
    marks.removeLast()  // the last object's end is in the fold's name
    return Fold(pin: pin, ordinal: ordinal, parts: parts, marks: marks)
  }
}
