/// An RDB inside a compressed frame. The offset of a fault is that in the file. Its reason has the offset in
/// the unpacked RDB. A damaged or incomplete frame is broken even if the RDB in it is not understood.
extension RDBWalker {
  /// Reads bytes of the frame and any bytes that follow it.
  mutating func unpack(_ bytes: UnsafeRawBufferPointer) -> Int {
    var used = 0
    while !isFrameEnded {
      if case .malformed = state { return bytes.count }
      guard isKnownUniquelyReferenced(&frame), let frame else {
        leaveFrame("its frame was read by another reader meanwhile")
        return bytes.count
      }
      switch frame.unpack(UnsafeRawBufferPointer(rebasing: bytes[used...])) {
      case .damaged(let reason):
        state = .malformed(FileFault(offset: byteCount, reason: "its frame is damaged (\(reason))"))
      case .tooLarge:
        leaveFrame("its frame needs more memory than is allowed")
        return bytes.count
      case .more(let taken, let unpacked, let isEnd):
        used += taken
        walk(unpacked: frame.unpacked(unpacked))
        byteCount &+= UInt64(taken)
        if isEnd {
          endFrame(frame)
        } else if taken == 0, unpacked < RDBFrame.outputBytes {
          return used
        }
      }
    }
    if case .ended = state { return used }
    return bytes.count
  }

  private mutating func leaveFrame(_ reason: String) {
    state = .unknown(
      FileFault(offset: byteCount, reason: reason + "; its structure is not verified"))
    frame = nil
  }

  private mutating func walk(unpacked bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty, case .walking = state else { return }
    guard endInFrame == nil else {
      state = .malformed(
        FileFault(offset: byteCount, reason: "bytes follow the RDB's end inside its frame"))
      return
    }
    let place = byteCount
    let used = consumePlain(bytes)
    byteCount = place
    func inFile(_ fault: FileFault) -> FileFault {
      FileFault(
        offset: place,
        reason: fault.reason + " (at byte \(fault.offset) of the unpacked frame)")
    }
    switch state {
    case .walking: break
    case .malformed(let fault): state = .malformed(inFile(fault))
    case .unknown(let fault): state = .unknown(inFile(fault))
    case .ended(let end):
      (endInFrame, state) = (end, .walking)
      walk(unpacked: UnsafeRawBufferPointer(rebasing: bytes[used...]))
    }
  }

  private mutating func endFrame(_ frame: RDBFrame) {
    isFrameEnded = true
    guard case .walking = state else { return }
    guard endInFrame != nil else {
      return fail("truncated: its frame ends before the RDB in it", isCertain: true)
    }
    verdict = frame.hasChecksum ? .matches : .none
    state = .ended(at: byteCount)
  }
}
