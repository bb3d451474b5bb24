import { type GoldenFiles, type Group, lines } from "../../golden.ts";

const FILES: GoldenFiles = {
  "Cargo.toml": '[package]\nname = "app"\n',
  "Cargo.lock": "[[package]]\n",
  "src/main.rs": "fn main() {}\n",
  "target/debug/app": "old\n",
  ".dockerignore": lines("target", "!target/keep"),
};

/** Rust: dependencies are built from a recipe, in a stage of their own. */
export const rust: Group = {
  name: "projects/rust",
  cases: [
    {
      name: "planner, dependencies and program as stages",
      dockerfile: lines(
        "FROM busybox AS chef",
        "WORKDIR /app",
        "FROM chef AS planner",
        "COPY . .",
        "RUN cat Cargo.toml Cargo.lock >recipe.json",
        "FROM chef AS builder",
        "COPY --from=planner /app/recipe.json recipe.json",
        "RUN mkdir -p target/release/deps && cp recipe.json target/release/deps/",
        "COPY . .",
        "RUN cat src/main.rs target/release/deps/recipe.json >target/release/app && chmod 755 target/release/app",
        "FROM busybox AS runtime",
        "WORKDIR /app",
        "COPY --from=builder /app/target/release/app /usr/local/bin",
        'ENTRYPOINT ["/usr/local/bin/app"]',
      ),
      files: FILES,
    },
    {
      name: "an empty program first, so that its dependencies are a layer",
      dockerfile: lines(
        "FROM busybox AS build",
        "WORKDIR /app",
        "COPY Cargo.toml Cargo.lock ./",
        "RUN mkdir src && echo 'fn main() {}' >src/main.rs && mkdir target && cp Cargo.lock target/ && rm -r src",
        "COPY src src",
        "RUN cp src/main.rs target/app",
        "FROM scratch",
        "COPY --from=build /app/target/ /app/",
      ),
      files: FILES,
    },
    {
      name: "a target folder that is a cache mount, and the program copied out of it",
      dockerfile: lines(
        "FROM busybox AS build",
        "WORKDIR /app",
        "RUN --mount=type=bind,source=src,target=src \\",
        "    --mount=type=bind,source=Cargo.toml,target=Cargo.toml \\",
        "    --mount=type=cache,id=golden-cargo-target,target=/app/target <<EOF",
        "set -e",
        "cat src/main.rs Cargo.toml >target/app",
        "cp target/app /bin/server",
        "EOF",
      ),
      files: FILES,
    },
  ],
};
