package import BackupFormat

/// What a restore gives of the chain that is followed.
package struct RestorableLog: Sendable, Equatable {
  /// The last file that it gives, and how far.
  package var pin: PinID
  package var offset: UInt64
  /// The full copy that it begins with.
  package var base: GenerationID?
  package init(pin: PinID, offset: UInt64, base: GenerationID?) {
    self.pin = pin
    self.offset = offset
    self.base = base
  }
}

extension Writing {
  /// Up to which position a restore of what is durable gives the log of the followed chain. Nil as long as no
  /// snapshot names the chain with its BASE, and while the shrink guard still has to judge the chain.
  ///
  /// This position may be acknowledged to a primary: a client that uses WAIT can rely on it.
  package var restorableLog: RestorableLog? {
    guard let chain = chains.followed, chain.readableAnchor != nil, let said = said.last,
      said.primary == .aof, let last = said.chain?.files.last
    else { return nil }
    var found: RestorableLog?
    for file in chain.listable {
      found = RestorableLog(
        pin: file.pin, offset: file.durable, base: said.chain?.base?.generation)
      if file.name == last.file { return found }
    }
    return nil
  }
}
