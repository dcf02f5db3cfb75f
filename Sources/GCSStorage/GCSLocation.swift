package import BackupTypes
import ObjectStorage

/// What a repository URL says: `gs://bucket/prefix?endpoint=…&anonymous=true`.
package struct GCSLocation: Sendable, Hashable {
  package var bucket: String
  /// Without "/" at either end; may be empty.
  package var prefix: String
  /// `https://host:port/path` without a "/" at its end; nil: Google's own.
  package var endpoint: String?
  /// nil: not given.
  package var isAnonymous: Bool?

  /// For messages; without options.
  package var description: String {
    "gs://" + printable(bucket) + (prefix.isEmpty ? "" : "/" + printable(prefix))
  }

  /// The options, in the order in which messages list them.
  package static let options = ["endpoint", "anonymous"]

  /// - Throws: `.usage` with what is wrong.
  package init(url: String) throws(LifeboatError) {
    let parts = try BucketURL(url, scheme: "gs", options: GCSLocation.options)
    bucket = parts.bucket
    prefix = parts.prefix
    endpoint = try parts.endpoint()
    isAnonymous = try parts.flag("anonymous")
  }

  /// The endpoint that `STORAGE_EMULATOR_HOST` names, as Google's libraries read it: with a scheme, or
  /// without one for plain http.
  static func endpoint(emulatorHost text: String) throws(LifeboatError) -> String {
    let url = text.firstRange(of: "://") == nil ? "http://" + text : text
    return try BucketURL.endpoint(url, scheme: "gs", options: options)
  }
}
