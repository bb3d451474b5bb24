// Bundles the command line (dist/kbuild.cjs) and the API (dist/api.js with its types in dist/types).
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const home = join(dirname(fileURLToPath(import.meta.url)), "..");
const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
const dist = join(home, "dist");
mkdirSync(dist, { recursive: true });

const common = {
  absWorkingDir: home,
  bundle: true,
  platform: "node",
  target: "node20",
  define: { KBUILD_VERSION: JSON.stringify(version) },
  legalComments: "none",
  logLevel: "warning",
};

/**
 * What would cost a cached build more time than its work. The HTTP client is larger than all the rest and seldom needed, and
 * so is the reader of YAML: each stays a file of its own (only whole packages are taken out: what is bundled twice, like the class of errors, would be two
 * things). commander loads the module for child processes for a feature that is not used. The hash's own loader
 * finds out what machine this is, which takes longer than trying what is usual.
 */
const fastStart = {
  name: "fast-start",
  setup(context) {
    context.onResolve({ filter: /^(?:undici|yaml)$/ }, ({ path }) => ({ path: `./${path}.cjs`, external: true }));
    context.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes("/node_modules/commander/") ? { path: "child_process", namespace: "lazy" } : undefined,
    );
    context.onLoad({ filter: /.*/, namespace: "lazy" }, ({ path }) => ({
      contents: `exports.spawn = (...words) => require("node:${path}").spawn(...words);`,
    }));
    context.onResolve({ filter: /^@napi-rs\/blake-hash$/ }, ({ importer }) =>
      importer === "" ? undefined : { path: "blake-hash", namespace: "native" },
    );
    context.onLoad({ filter: /.*/, namespace: "native" }, () => ({
      contents: `
        function load() {
          const usual = "@napi-rs/blake-hash-" + process.platform + "-" + process.arch;
          try {
            return require(process.platform === "linux" ? usual + "-gnu" : usual);
          } catch {
            return require("@napi-rs/" + "blake-hash");
          }
        }
        module.exports = load();`,
    }));
  },
};

await Promise.all([
  build({
    ...common,
    entryPoints: ["src/cli/main.ts"],
    outfile: "dist/cli.cjs",
    format: "cjs",
    minify: true,
    // An error that nobody catches shows the line that it is from.
    lineLimit: 160,
    keepNames: false,
    plugins: [fastStart],
    // `import()` of a CommonJS file gives no names; `require` does.
    supported: { "dynamic-import": false },
    // Code that is also run from its sources finds itself by import.meta.url.
    define: { ...common.define, "import.meta.url": "importMetaUrl" },
    inject: ["scripts/import-meta-url.js"],
  }),
  ...["undici", "yaml"].map((name) =>
    build({
      ...common,
      stdin: { contents: `module.exports = require("${name}");`, resolveDir: home },
      outfile: `dist/${name}.cjs`,
      format: "cjs",
      minify: true,
    }),
  ),
  build({
    ...common,
    entryPoints: ["src/api.ts"],
    outfile: "dist/api.js",
    format: "esm",
    packages: "external",
    sourcemap: true,
  }),
]);
// The launcher reads the bundle byte by byte; regular expressions are what esbuild leaves as it is.
const strange = /[\x80-\xff].{0,20}/.exec(readFileSync(join(dist, "cli.cjs"), "latin1"));
if (strange !== null) {
  console.error(`the bundle has characters beyond ASCII, which \\u must write: ${JSON.stringify(strange[0])}`);
  process.exit(1);
}
copyFileSync(join(home, "scripts/launcher.cjs"), join(dist, "kbuild.cjs"));
chmodSync(join(dist, "kbuild.cjs"), 0o755);

rmSync(join(dist, "types"), { recursive: true, force: true });
const types = spawnSync(
  process.execPath,
  [join(home, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.types.json"],
  {
    cwd: home,
    stdio: "inherit",
  },
);
if (types.status !== 0) {
  console.error("the types of the API could not be written (see above)");
  process.exit(1);
}

// A build of almost nothing, whose process leaves behind what was compiled for it (see launcher.cjs). Its first stage is
// not needed, only parsed and planned: every instruction is in it, with what they are often written with.
const warm = `# syntax=docker/dockerfile:1
ARG BASE=scratch
FROM \${BASE} AS other
ARG NAME="value" OTHER
ENV A="b c" D=$NAME
LABEL a.b="\${NAME:-c}"
RUN --mount=type=cache,target=/x a && \\
    # a comment
    b
RUN ["a", "b"]
RUN <<END
a
END
COPY --chown=1:1 --from=another a* b /
ADD --checksum=x ["a b", "/"]
WORKDIR /a
USER a
EXPOSE 80/tcp
VOLUME /a
STOPSIGNAL 9
SHELL ["/bin/sh", "-c"]
HEALTHCHECK --interval=1s CMD a
ENTRYPOINT a
ONBUILD RUN a

FROM scratch
ENV A=1
WORKDIR /a
COPY Dockerfile .
CMD ["/a"]
`;
const scratch = mkdtempSync(join(tmpdir(), "kbuild-warm-"));
try {
  rmSync(join(dist, "cli.cache"), { force: true });
  writeFileSync(join(scratch, "Dockerfile"), warm);
  const env = { ...process.env, KBUILD_ROOT: join(scratch, "store") };
  const argv = [join(dist, "kbuild.cjs"), "--progress=plain", "-t", "warm", scratch];
  // Twice: first everything is made, then everything is cached, which is the case that is to start fast.
  spawnSync(process.execPath, argv, { env });
  spawnSync(process.execPath, argv, { env: { ...env, KBUILD_WRITE_CODE_CACHE: "1" } });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
