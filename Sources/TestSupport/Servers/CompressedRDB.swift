import CLz4
import CZstd

/// An RDB in a `VCS` envelope, as Valkey 9.2 writes it.
package enum CompressedRDB {
  package enum Codec: UInt8, Sendable, CaseIterable { case lz4 = 1, zstd = 2 }

  package static func envelope(_ codec: UInt8, version: UInt8 = 1) -> [UInt8] {
    Array("VCS".utf8) + [version, codec, 0, 1]
  }

  /// - Parameter checksum: whether the frame has its checksums, as with `rdbchecksum yes`.
  package static func wrap(_ rdb: [UInt8], _ codec: Codec, checksum: Bool = true) -> [UInt8] {
    envelope(codec.rawValue) + frame(rdb, codec, checksum: checksum)
  }

  private static func frame(_ rdb: [UInt8], _ codec: Codec, checksum: Bool) -> [UInt8] {
    switch codec {
    case .lz4:
      var preferences = LZ4F_preferences_t()
      preferences.frameInfo.blockMode = LZ4F_blockLinked
      preferences.frameInfo.blockSizeID = LZ4F_max64KB
      if checksum {
        preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled
        preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
      }
      let room = LZ4F_compressFrameBound(rdb.count, &preferences)
      return [UInt8](unsafeUninitializedCapacity: room) { output, count in
        count = LZ4F_compressFrame(output.baseAddress, room, rdb, rdb.count, &preferences)
        precondition(LZ4F_isError(count) == 0, "can't compress")
      }
    case .zstd:
      let context = ZSTD_createCCtx()
      defer { ZSTD_freeCCtx(context) }
      ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0)
      let room = ZSTD_compressBound(rdb.count)
      return [UInt8](unsafeUninitializedCapacity: room) { output, count in
        count = ZSTD_compress2(context, output.baseAddress, room, rdb, rdb.count)
        precondition(ZSTD_isError(count) == 0, "can't compress")
      }
    }
  }
}
