package import BackupTypes
package import Codec

/// The kind of an object. The frame contains it, so one kind is never read as another.
package enum ObjectKind: UInt8, Sendable, CaseIterable {
  case claim = 1, snapshot = 2, index = 3, piece = 4, log = 5, operation = 6, keySlot = 7

  /// The maximum size of the content of this kind, in bytes.
  package var contentBytesMax: Int {
    switch self {
    case .index, .operation: RecordCoding.sizeMax
    case .claim: RecordCoding.claimSizeMax
    case .snapshot: RecordCoding.snapshotSizeMax
    case .piece: GenerationIndex.pieceBytes
    case .log: LogPayload.sizeMax
    case .keySlot: KeySlot.sizeMax
    }
  }

  /// The maximum size of a stored object of this kind, in bytes.
  package var objectBytesMax: Int { Frame.objectBytesMax(content: contentBytesMax) }
}

extension ObjectPath {
  /// The maximum size of the content of the object with this name, in bytes. Of the operations only a prune
  /// record can be large. Readers hold many of the others at the same time.
  package func contentBytesMax(_ kind: ObjectKind) -> Int {
    if case .operation(let operation, _) = self, operation != .prunes {
      return RecordCoding.operationSizeMax
    }
    return kind.contentBytesMax
  }
}

/// The envelope around every object except the descriptor.
///
///     0   8  magic "LIFEBOAT"
///     8   1  format version, 1
///     9   1  kind (`ObjectKind`)
///     10  1  compression: 0 none, 1 zstd, 2 gzip
///     11  1  cipher: 0 none, 1 AES-256-GCM
///     12  4  zero
///     16  8  size of the plain content, little endian
///     24  32 checksum: SHA-256 of name, header and the SHA-256 of the plain content; zero under a
///            cipher
///     56     the content, compressed; under a cipher: nonce (12), ciphertext, tag (16)
///
/// The checksum covers name and header. Under a cipher, they are its associated data. So an object that was
/// renamed or swapped with another one is recognised, whatever it contains. The checksum covers the content
/// by its digest. Most names contain this digest, too, so the content is hashed only once.
package struct Frame: Sendable {
  package static let magic = Array("LIFEBOAT".utf8)
  package static let version: UInt8 = 1
  package static let headerBytes = 24
  package static let prefixBytes = 56

  /// The maximum size of an object with at most `content` bytes of content. Content that would not get
  /// smaller is not compressed, and a cipher adds its nonce and its tag.
  package static func objectBytesMax(content: Int) -> Int {
    prefixBytes + RepositorySecrets.nonceBytes + content + AEAD.tagByteCount
  }

  package var compression: Compression
  package var secrets: RepositorySecrets?
  /// The source of randomness for the cipher's nonces. It is injected, because this module has none.
  package var randomBytes: @Sendable (Int) -> [UInt8]
  private let compressor = Compressor()

  package init(
    compression: Compression, secrets: RepositorySecrets?,
    randomBytes: @escaping @Sendable (Int) -> [UInt8]
  ) {
    self.compression = compression
    self.secrets = secrets
    self.randomBytes = randomBytes
  }

  /// The content of an opened object.
  package struct Opened: Sendable {
    package var content: [UInt8]
    /// The result of `Frame.digest` for the content, if checking the object needed it.
    package var digest: Digest?
  }

  /// The object with `content` under `name`.
  /// - Parameter digest: the result of `Frame.digest` for `content`, if known.
  package func seal(
    _ content: [UInt8], kind: ObjectKind, name: ObjectPath, digest: Digest? = nil
  ) throws -> [UInt8] {
    let nonce = secrets == nil ? [] : randomBytes(RepositorySecrets.nonceBytes)
    let prefix = Frame.prefixBytes + nonce.count
    var (object, used) = try pack(content, prefix: prefix)
    let header = header(kind: kind, compression: used, size: content.count)
    guard let secrets else {
      let checksum = Frame.checksum(
        name: name.text, header: header, digest: digest ?? self.digest(content))
      object.replaceSubrange(..<prefix, with: header + checksum.bytes)
      return object
    }
    object.replaceSubrange(
      ..<prefix, with: header + [UInt8](repeating: 0, count: Digest.byteCount) + nonce)
    try AEAD.seal(
      &object, from: prefix, key: secrets.contentKey, nonce: nonce,
      associatedData: associatedData(name: name.text, header: header))
    return object
  }

  /// Compresses the content after a prefix that is filled in later, so that a piece is sealed in place and
  /// never copied.
  private func pack(_ content: [UInt8], prefix: Int) throws -> ([UInt8], Compression) {
    if compression != .none {
      let object = try compressor.compress(content, using: compression, prefix: prefix)
      if object.count - prefix < content.count { return (object, compression) }
    }
    return (try compressor.compress(content, using: .none, prefix: prefix), .none)
  }

  /// The content of an object read under `name`. `limit` bounds the plain size for that kind, and is
  /// checked before anything is allocated.
  package func open(_ object: [UInt8], kind: ObjectKind, name: ObjectPath, limit: Int) throws
    -> Opened
  {
    func broken(_ reason: String) -> LifeboatError {
      LifeboatError(
        .corrupt, "the object \(name.text) is damaged", cause: reason,
        hint:
          "`lifeboat verify` lists all damage, `lifeboat report` shows the rest; another restore point may "
          + "not need this object: `lifeboat restore --point ID`, with an id from `lifeboat list`")
    }
    guard object.count >= Frame.prefixBytes, Array(object[0..<8]) == Frame.magic else {
      throw broken(
        object.count < Frame.prefixBytes
          ? "it is truncated (\(counted(object.count, "byte")))" : "it was not written by Lifeboat")
    }
    guard object[8] == Frame.version else {
      throw LifeboatError(
        .versionMismatch, "the object \(name.text) has format \(object[8])",
        cause: "this release reads format \(Frame.version)",
        hint: "use a newer release of Lifeboat")
    }
    guard object[9] == kind.rawValue else { throw broken("it contains another kind of object") }
    guard let compression = Compression(wireValue: object[10]),
      object[12..<16].allSatisfy({ $0 == 0 })
    else { throw broken("its header is damaged") }
    let size = littleEndian(object[16..<24])
    guard size <= UInt64(limit) else {
      throw broken("it claims a size of \(counted(size, "byte"))")
    }
    let header = Array(object[0..<Frame.headerBytes])
    switch (object[11], secrets) {
    case (0, nil):
      let content = try unpack(object[Frame.prefixBytes...], compression, Int(size), broken)
      let digest = digest(content)
      guard
        Frame.checksum(name: name.text, header: header, digest: digest).bytes
          == Array(object[Frame.headerBytes..<Frame.prefixBytes])
      else {
        throw broken("its checksum does not match: it was damaged, or renamed")
      }
      return Opened(content: content, digest: digest)
    case (1, let secrets?):
      let body = object[Frame.prefixBytes...]
      guard body.count >= RepositorySecrets.nonceBytes else { throw broken("it is truncated") }
      guard object[Frame.headerBytes..<Frame.prefixBytes].allSatisfy({ $0 == 0 }) else {
        throw broken("its header is damaged")
      }
      let plain: [UInt8]
      do {
        plain = try body.dropFirst(RepositorySecrets.nonceBytes).withUnsafeBytes {
          try AEAD.open(
            $0, key: secrets.contentKey, nonce: Array(body.prefix(RepositorySecrets.nonceBytes)),
            associatedData: associatedData(name: name.text, header: header))
        }
      } catch {
        throw broken("authentication failed: it was damaged, or renamed")
      }
      return Opened(content: try unpack(plain[...], compression, Int(size), broken))
    case (1, nil):
      throw broken(
        "it is encrypted, but its repository is not: it belongs to another one, or lifeboat.json was replaced"
      )
    case (0, _?): throw broken("it is not encrypted, but its repository is")
    default: throw broken("its cipher is unknown")
    }
  }

  /// The digest that names and records contain: SHA-256, keyed in an encrypted repository.
  package func digest(_ bytes: UnsafeRawBufferPointer) -> Digest {
    if let secrets { return hmacSHA256(key: secrets.digestKey, bytes) }
    return SHA256Hasher.digest(of: bytes)
  }
  package func digest(_ bytes: [UInt8]) -> Digest { bytes.withUnsafeBytes { digest($0) } }

  private func header(kind: ObjectKind, compression: Compression, size: Int) -> [UInt8] {
    var header = Frame.magic
    header += [Frame.version, kind.rawValue, compression.wireValue, secrets == nil ? 0 : 1]
    header += [0, 0, 0, 0]
    header += littleEndianBytes(UInt64(size))
    return header
  }

  private func unpack(
    _ body: ArraySlice<UInt8>, _ compression: Compression, _ size: Int,
    _ broken: (String) -> LifeboatError
  ) throws -> [UInt8] {
    do {
      return try body.withUnsafeBytes {
        try decompress($0, using: compression, exactly: size, limit: size)
      }
    } catch let error as LifeboatError {
      throw broken("its content can't be decompressed (\(error.cause ?? error.message))")
    }
  }

  private func associatedData(name: String, header: [UInt8]) -> [UInt8] {
    Array(name.utf8) + [0] + header
  }

  private static func checksum(name: String, header: [UInt8], digest: Digest) -> Digest {
    SHA256Hasher.digest(of: Array(name.utf8) + [0] + header + digest.bytes)
  }
}

package func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 {
  bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

package func littleEndianBytes(_ value: UInt64) -> [UInt8] {
  (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}
