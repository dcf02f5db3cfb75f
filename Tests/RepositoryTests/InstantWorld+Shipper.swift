import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import TestSupport

/// What the shipper does and what it misses: objects, snapshots, claims.
extension InstantWorld {
  // MARK: The shipper

  /// Makes everything durable, in one or more objects.
  mutating func ship() async throws {
    var file = files[files.count - 1]
    while file.shipped < file.bytes.count {
      let cuts = file.cuts.filter { $0 > file.shipped }
      let to = int(0...2) > 0 ? cuts.last! : cuts.randomElement(using: &random)!
      let segment = file.segments.last!
      try await made.addLog(
        segment.timeline.value, ordinal: segment.ordinal, UInt64(file.shipped),
        bytes: Array(file.bytes[file.shipped..<to]), at: wroteAt)
      file.shipped = to
      events.append("\(now) ships \(segment.timeline)/\(segment.ordinal) to \(to), of \(wroteAt)")
    }
    if files.last!.shipped < file.shipped {
      entries.append(Moment(time: wroteAt, state: state, knownAt: now))
    }
    files[files.count - 1] = file
    shippedAt = now
  }

  mutating func snapshot() async throws {
    events.append("\(now) snapshot \(timeline).\(sequence + 1)")
    sequence += 1
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: base?.record,
      files: files.map {
        .init(file: $0.name, sequence: $0.sequence, segments: $0.segments, identity: nil)
      })
    let number = TimelineNumber(timeline)!
    let made = Snapshot(
      timeline: number, sequence: sequence, nonce: nonce(timeline), at: at(now), cause: .chain,
      primary: .aof, chain: chain, dump: nil, detached: nil, isClean: false, destructive: nil)
    _ = try await self.made.repository.create(
      made, .snapshot(number, sequence: sequence), kind: .snapshot)
  }

  /// The current end of a timeline's log, as the next claim records it.
  func end(of parent: Int) async throws -> Claim.End {
    try await made.repository.history().contiguousEnd(of: TimelineNumber(parent)!, starts: [:])
  }

  mutating func claim(fork: LogPosition?) async throws {
    events.append("\(now) claim \(timeline + 1) from \(fork?.description ?? "none")")
    let parent = timeline
    let end = parent > 0 ? try await end(of: parent) : nil
    timeline += 1
    (sequence, ordinal) = (0, 0)
    let claim = Claim(
      timeline: TimelineNumber(timeline)!, nonce: nonce(timeline), repository: made.repository.id,
      source: "s", instance: "i", directory: "d", claimedAt: at(now), writer: "test",
      parent: TimelineNumber(parent), fork: fork, end: end, suspicion: nil)
    _ = try await made.repository.create(claim, .claim(claim.timeline), kind: .claim)
  }

  /// A claim whose chain has nothing in common with the previous one.
  mutating func beginAnew() async throws {
    let base = try await newBase()
    self.base = base
    try await claim(fork: nil)
    files = [newFile()]
    try await snapshot()
    entries.append(Moment(time: now, state: state))
    shippedAt = now
  }

  // MARK: Rewrites

  mutating func beginRewrite() async throws {
    events.append("\(now) rewrite begins")
    guard rewrite == nil else { return }
    try await ship()
    closeLast()
    let base = try await newBase()
    files.append(newFile())
    rewrite = (base, files.count - 1)
    try await snapshot()
  }

  mutating func closeLast() {
    let size = UInt64(files[files.count - 1].bytes.count)
    files[files.count - 1].segments[files[files.count - 1].segments.count - 1].to = size
  }

  mutating func finish(_ done: (base: Base, first: Int)) async throws {
    events.append("\(now) rewrite ends")
    rewrite = nil
    base = done.base
    files.removeFirst(done.first)
    try await snapshot()
  }

  /// No shipper saw a manifest with both files. What was written to other files in between is lost.
  mutating func rewriteUnseen(losing count: Int) async throws {
    events.append("\(now) unseen rewrite")
    rewrite = nil
    // The rest of the old file is still read.
    try await ship()
    let from = now
    for _ in 0..<count { write(isLost: true) }
    let base = try await newBase()
    if count > 0 { lost.append((from, now)) }
    (files, self.base) = ([newFile()], base)
    // The BASE takes a while, and its log is sent at the same time.
    for _ in 0..<int(0...4) { write() }
    entries.append(Moment(time: base.contentAt + 999, state: base.state))
    try await snapshot()
    try await ship()
  }

  // MARK: Restarts

  mutating func restartShipper() async throws {
    events.append("\(now) shipper restarts")
    rewrite = nil
    for _ in 0..<int(0...4) { write() }
    if int(0...3) == 0 { try await fence() }
    // Each file continues where the repository's copy ends. A file that it does not have starts from 0.
    let last = files.count - 1
    let cut = UInt64(files[last].shipped)
    files[last].segments[files[last].segments.count - 1].to = cut
    for index in files.indices { files[index].segments.removeAll { $0.from == $0.to } }
    let held = files.flatMap(\.segments).last
    try await claim(fork: held.map { $0.position($0.to!) })
    if held == nil, let base { entries.append(Moment(time: now, state: base.state)) }
    for index in files.indices where index == last || files[index].segments.isEmpty {
      ordinal += 1
      files[index].segments.append(
        .init(
          timeline: TimelineNumber(timeline)!, ordinal: ordinal,
          from: index == last ? cut : 0, to: index == last ? nil : 0))
    }
    try await snapshot()
  }

  /// A shipper that was killed before it wrote anything.
  mutating func fence() async throws {
    try await claim(fork: nil)
    now += 100
  }

  mutating func rewriteWhileAway() async throws {
    events.append("\(now) rewrite while away")
    rewrite = nil
    for _ in 0..<int(1...4) { write(isLost: true) }
    // Data that was on disk but not shipped is lost, too.
    lost.append((shippedAt, now))
    if int(0...1) == 0 { try await beginAnew() } else { try await beginInParts() }
  }

  /// The first shipper of a chain is killed before its BASE is uploaded. The next one continues its log.
  mutating func beginInParts() async throws {
    // The server was started again, so its log begins with an annotation.
    lastAnnotated = 0
    let base = try await newBase()
    try await claim(fork: nil)
    files = [newFile()]
    sequence += 1
    let detached = Snapshot.Detached(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      awaitedBase: base.record.file,
      files: files.map {
        .init(file: $0.name, sequence: $0.sequence, segments: $0.segments, identity: nil)
      }, isBaseEmpty: false)
    let number = TimelineNumber(timeline)!
    let made = Snapshot(
      timeline: number, sequence: sequence, nonce: nonce(timeline), at: at(now), cause: .chain,
      primary: nil, chain: nil, dump: nil, detached: detached, isClean: false, destructive: nil)
    _ = try await self.made.repository.create(
      made, .snapshot(number, sequence: sequence), kind: .snapshot)
    events.append("\(now) detached \(timeline).\(sequence)")
    self.base = base
    entries.append(Moment(time: now, state: state))
    shippedAt = now
    for _ in 0..<int(0...4) { write() }
    try await ship()
    try await restartShipper()
  }

  /// The server continues from an earlier state, in a new timeline.
  mutating func restore() async throws {
    guard let first = entries.first, now > first.time + 3000 else { return }
    try await ship()
    let time = at(.random(in: first.time...now, using: &random) / 1000 * 1000)
    guard time.milliseconds >= first.time else { return }
    // Between two windows, the state before is restored.
    let point = try await made.known(at: time.milliseconds)
    guard let cut = point.cut else { return }
    let from = now
    events.append("\(now) restored to \(time)")
    rewrite = nil
    state = try await replay(point, try await made.reader)
    now += 3000
    (lastAnnotated, base) = (0, nil)
    files = []
    for record in point.snapshot.chain!.files {
      var file = File(name: record.file, sequence: record.sequence, segments: [])
      for var segment in record.segments {
        let isLast = segment.timeline == cut.timeline && segment.ordinal == cut.ordinal
        if isLast { segment.to = cut.offset }
        if segment.to! > segment.from { file.segments.append(segment) }
        if isLast { break }
      }
      files.append(file)
      if record.segments.contains(where: {
        $0.timeline == cut.timeline && $0.ordinal == cut.ordinal
      }) {
        break
      }
    }
    if let record = point.snapshot.chain!.base {
      base = Base(record: record, state: states[record.generation]!, contentAt: 0)
    }
    let size = Int(files.last!.segments.last?.to ?? 0)
    files[files.count - 1].bytes = [UInt8](repeating: 0, count: size)
    files[files.count - 1].shipped = size
    truth.append(Moment(time: now, state: state))
    try await claim(fork: size > 0 ? cut : nil)
    for index in files.indices.dropLast() where files[index].segments.isEmpty {
      ordinal += 1
      files[index].segments = [
        .init(timeline: TimelineNumber(timeline)!, ordinal: ordinal, from: 0, to: 0)
      ]
    }
    ordinal += 1
    files[files.count - 1].segments.append(
      .init(
        timeline: TimelineNumber(timeline)!, ordinal: ordinal, from: UInt64(size), to: nil))
    try await snapshot()
    blind.append(from - 1000...now + 1000)
    entries.append(Moment(time: now, state: state))
    now += 1000
    shippedAt = now
  }
}
