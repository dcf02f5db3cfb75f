// swift-tools-version: 6.1
import PackageDescription

// Strict by default: explicit `any`, internal imports, member visibility. Warnings are errors in CI,
// where `scripts/test` passes `-warnings-as-errors` (SwiftPM refuses unsafe flags in a manifest).
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let nio: [Target.Dependency] = ["NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers"].map {
  .product(name: $0, package: "swift-nio")
}
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

// What reads foreign bytes. With LIFEBOAT_FUZZ it is the program that `scripts/fuzz` runs, else a test of the
// inputs that were found.
let fuzzed: [Target.Dependency] = [
  "BackupTypes", "RedisFormats", "Codec", "BackupFormat", "CloudAuth", "S3Storage", "GCSStorage",
  "AzureStorage", "RepositoryAccess", "Shipping", "Recovery",
]
let fuzzing: [Target] =
  Context.environment["LIFEBOAT_FUZZ"] == nil
  ? [
    .testTarget(
      name: "FuzzTests", dependencies: fuzzed + ["TestSupport"],
      exclude: ["Fuzz.swift", "Regressions"], swiftSettings: strict)
  ]
  : [
    .executableTarget(
      name: "Fuzz", dependencies: fuzzed, path: "Tests/FuzzTests",
      exclude: ["RegressionTests.swift", "Regressions"], swiftSettings: strict)
  ]

let package = Package(
  name: "lifeboat",
  products: [.executable(name: "lifeboat", targets: ["lifeboat"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
  ],
  targets: [
    // C at arm's length.
    .target(name: "CLinux"),
    .target(name: "CSimulation"),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
    .target(name: "CExpat", linkerSettings: [.linkedLibrary("expat")]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLz4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),

    // Pure: no I/O, no clock, no randomness.
    .target(name: "BackupTypes", swiftSettings: strict),
    .target(
      name: "RedisFormats", dependencies: ["BackupTypes", "CLz4", "CZstd"], swiftSettings: strict),
    .target(
      name: "Codec", dependencies: ["BackupTypes", "CCrypto", "CZlib", "CZstd"],
      swiftSettings: strict),
    .target(name: "BackupFormat", dependencies: ["BackupTypes", "Codec"], swiftSettings: strict),
    .target(
      name: "HistoryLogic", dependencies: ["BackupTypes", "BackupFormat", "RedisFormats"],
      swiftSettings: strict),
    .target(
      name: "WriterLogic",
      dependencies: ["BackupTypes", "BackupFormat", "RedisFormats", "HistoryLogic"],
      swiftSettings: strict),

    .target(
      name: "ReportPages",
      dependencies: ["BackupTypes", "Codec", "BackupFormat", "HistoryLogic"], swiftSettings: strict),

    // Edges.
    .target(
      name: "SystemIO", dependencies: ["BackupTypes", "CLinux", system], swiftSettings: strict),
    .target(
      name: "ObjectStorage", dependencies: ["BackupTypes", "SystemIO", system],
      swiftSettings: strict),
    .target(
      name: "HTTPTransport", dependencies: ["BackupTypes", "SystemIO", "CCurl", system],
      swiftSettings: strict),
    .target(
      name: "CloudAuth",
      dependencies: [
        "BackupTypes", "Codec", "SystemIO", "HTTPTransport", "CExpat", "CCrypto", system,
      ], swiftSettings: strict),
    .target(
      name: "S3Storage",
      dependencies: [
        "BackupTypes", "Codec", "SystemIO", "ObjectStorage", "HTTPTransport", "CloudAuth",
      ], swiftSettings: strict),
    .target(
      name: "GCSStorage",
      dependencies: [
        "BackupTypes", "Codec", "SystemIO", "ObjectStorage", "HTTPTransport", "CloudAuth",
      ], swiftSettings: strict),
    .target(
      name: "AzureStorage",
      dependencies: [
        "BackupTypes", "SystemIO", "ObjectStorage", "HTTPTransport", "CloudAuth",
      ], swiftSettings: strict),
    .target(
      name: "Auditing",
      dependencies: [
        "BackupTypes", "RedisFormats", "BackupFormat", "SystemIO", "ObjectStorage", system,
      ], swiftSettings: strict),
    .target(
      name: "RepositoryAccess",
      dependencies: [
        "BackupTypes", "RedisFormats", "Codec", "BackupFormat", "HistoryLogic", "SystemIO",
        "ObjectStorage", "Auditing", system,
      ], swiftSettings: strict),
    // Shipping and Recovery do not see each other.
    .target(
      name: "Shipping",
      dependencies: [
        "BackupTypes", "RedisFormats", "Codec", "BackupFormat", "HistoryLogic", "WriterLogic",
        "SystemIO", "ObjectStorage", "Auditing", "RepositoryAccess", system, logging,
      ], swiftSettings: strict),
    .target(
      name: "Recovery",
      dependencies: [
        "BackupTypes", "RedisFormats", "Codec", "BackupFormat", "HistoryLogic", "SystemIO",
        "ObjectStorage", "RepositoryAccess", system,
      ], swiftSettings: strict),
    .target(
      name: "StatusPages",
      dependencies: [
        "BackupTypes", "HistoryLogic", "SystemIO", "ObjectStorage", "Auditing", "ReportPages",
        "RepositoryAccess", "Shipping",
      ] + nio,
      swiftSettings: strict),
    .target(
      name: "ReplicationLink",
      dependencies: [
        "BackupTypes", "RedisFormats", "Codec", "BackupFormat", "HistoryLogic", "WriterLogic",
        "SystemIO", "HTTPTransport", "Auditing", "RepositoryAccess", "Shipping", system, logging,
      ] + nio,
      swiftSettings: strict),
    .executableTarget(
      name: "lifeboat",
      dependencies: [
        "BackupTypes", "RedisFormats", "Codec", "BackupFormat", "HistoryLogic", "WriterLogic",
        "SystemIO",
        "HTTPTransport", "CloudAuth", "ObjectStorage", "S3Storage", "GCSStorage", "AzureStorage",
        "Auditing", "ReportPages", "RepositoryAccess", "Shipping", "Recovery", "ReplicationLink",
        "StatusPages", logging, system,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),

    // The simulator: `scripts/simulate`.
    .executableTarget(
      name: "Simulation",
      dependencies: [
        "BackupTypes", "RedisFormats", "Codec", "BackupFormat", "HistoryLogic", "WriterLogic",
        "SystemIO",
        "ObjectStorage", "Auditing", "RepositoryAccess", "Shipping", "Recovery", "TestSupport",
        "CSimulation", system, logging,
      ], swiftSettings: strict),

    // Tests.
    .target(
      name: "TestSupport",
      dependencies: [
        "BackupTypes", "Codec", "CCrypto", "CLz4", "CZstd", "SystemIO", "ObjectStorage",
        "HTTPTransport", "CloudAuth", system,
      ], swiftSettings: strict),
    .testTarget(name: "BackupTypesTests", dependencies: ["BackupTypes"], swiftSettings: strict),
    .testTarget(
      name: "RedisFormatsTests", dependencies: ["BackupTypes", "RedisFormats", "TestSupport"],
      exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(name: "CodecTests", dependencies: ["BackupTypes", "Codec"], swiftSettings: strict),
    .testTarget(
      name: "BackupFormatTests",
      dependencies: ["BackupTypes", "Codec", "BackupFormat", "TestSupport"],
      exclude: ["Golden"], swiftSettings: strict),
    .testTarget(
      name: "LogicTests",
      dependencies: [
        "BackupTypes", "BackupFormat", "HistoryLogic", "WriterLogic", "RedisFormats", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "SystemIOTests", dependencies: ["BackupTypes", "SystemIO", system],
      swiftSettings: strict),
    .testTarget(
      name: "ObjectStorageTests",
      dependencies: ["BackupTypes", "ObjectStorage", "TestSupport", "SystemIO", system],
      swiftSettings: strict),
    .testTarget(
      name: "HTTPTransportTests",
      dependencies: ["BackupTypes", "SystemIO", "HTTPTransport", "TestSupport", system],
      swiftSettings: strict),
    .testTarget(
      name: "ReplicationLinkTests",
      dependencies: [
        "BackupTypes", "RedisFormats", "BackupFormat", "WriterLogic", "SystemIO", "HTTPTransport",
        "Auditing", "ReplicationLink", "TestSupport", logging,
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CloudAuthTests",
      dependencies: [
        "BackupTypes", "Codec", "SystemIO", "HTTPTransport", "CloudAuth", "TestSupport", system,
      ], swiftSettings: strict),
    .testTarget(
      name: "S3StorageTests",
      dependencies: [
        "BackupTypes", "Codec", "SystemIO", "ObjectStorage", "HTTPTransport", "CloudAuth",
        "S3Storage", "RepositoryAccess", "TestSupport", system,
      ], swiftSettings: strict),
    .testTarget(
      name: "GCSStorageTests",
      dependencies: [
        "BackupTypes", "Codec", "SystemIO", "ObjectStorage", "HTTPTransport", "CloudAuth",
        "GCSStorage", "RepositoryAccess", "TestSupport", system,
      ], swiftSettings: strict),
    .testTarget(
      name: "AzureStorageTests",
      dependencies: [
        "BackupTypes", "Codec", "SystemIO", "ObjectStorage", "HTTPTransport", "CloudAuth",
        "AzureStorage", "RepositoryAccess", "TestSupport", system,
      ], swiftSettings: strict),
    .testTarget(
      name: "AuditingTests",
      dependencies: [
        "BackupTypes", "Codec", "BackupFormat", "ObjectStorage", "Auditing", "TestSupport", system,
      ], swiftSettings: strict),
    .testTarget(
      name: "RepositoryTests",
      dependencies: [
        "BackupTypes", "Auditing", "RedisFormats", "Codec", "BackupFormat", "HistoryLogic",
        "WriterLogic",
        "SystemIO",
        "ObjectStorage", "RepositoryAccess", "Shipping", "Recovery", "TestSupport", system, logging,
      ], swiftSettings: strict),
    .testTarget(
      name: "StatusPagesTests",
      dependencies: [
        "BackupTypes", "HistoryLogic", "SystemIO", "ObjectStorage", "HTTPTransport",
        "RepositoryAccess", "Shipping", "StatusPages", "TestSupport",
      ], swiftSettings: strict),
    .testTarget(
      name: "ReportPagesTests",
      dependencies: ["BackupTypes", "Codec", "BackupFormat", "HistoryLogic", "ReportPages"],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "BackupTypes", "TestSupport", "lifeboat", system,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "IntegrationTests",
      dependencies: [
        "BackupTypes", "BackupFormat", "HistoryLogic", "WriterLogic", "Codec", "SystemIO",
        "ObjectStorage",
        "RepositoryAccess", "Shipping", "Recovery", "HTTPTransport", "CloudAuth", "S3Storage",
        "TestSupport", "RedisFormats", "ReplicationLink",
        system, logging,
      ], swiftSettings: strict),
  ] + fuzzing,
  swiftLanguageModes: [.v6]
)
