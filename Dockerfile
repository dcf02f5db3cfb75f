# The image of Lifeboat: one binary, the libraries it links, and CA certificates. No shell, no package
# manager, no user but the one it runs as; nothing in it is written to, so a read-only root is fine.
#
#   docker build -t registry.example.com/lifeboat:0.1.0 .
#
# scripts/image builds and tries it.

FROM docker.io/library/swift:6.3.1-bookworm AS build
RUN apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        binutils ca-certificates libcurl4-openssl-dev libexpat1-dev liblz4-dev libssl-dev \
        libzstd-dev pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Package.swift ./
COPY Sources Sources
# SwiftPM wants every target that the manifest names to be there.
COPY Tests Tests
RUN swift build -c release --static-swift-stdlib --product lifeboat \
    && install -D -s "$(swift build -c release --static-swift-stdlib --show-bin-path)/lifeboat" \
        /image/usr/local/bin/lifeboat
COPY LICENSE /image/usr/share/doc/lifeboat/LICENSE
COPY scripts/image-root /usr/local/bin/image-root
RUN image-root /image

FROM scratch
COPY --from=build /image /
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lifeboat" \
    org.opencontainers.image.description="Continuous backup and point-in-time restore for Redis and Valkey" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
# For `kubectl exec POD -c lifeboat-ship -- lifeboat status`.
ENV PATH=/usr/local/bin
# That of Redis's and Valkey's images on Debian. Any other works: there is nothing here to own.
USER 999:999
# Metrics and probes, with --listen :9847. Pods have probes; there is no HEALTHCHECK.
EXPOSE 9847
ENTRYPOINT ["/usr/local/bin/lifeboat"]
