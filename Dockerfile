# blastwave in an image without a shell, run by nobody in particular.
#   docker build -t blastwave .
#   docker run --rm --network none --read-only -v "$PWD:/files:ro" blastwave check topology.yaml --break payments
FROM rust:1.89-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY benches ./benches
COPY tests ./tests
RUN cargo build --locked --release --bin blastwave

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /source/target/release/blastwave /usr/local/bin/blastwave
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/blastwave/
USER 65532:65532
WORKDIR /files
ENTRYPOINT ["/usr/local/bin/blastwave"]
CMD ["--help"]
