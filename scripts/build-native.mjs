// Builds the Rust core for this machine as one static binary, dist/kbuild-native.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const home = join(dirname(fileURLToPath(import.meta.url)), "..");
const manifest = join(home, "native/Cargo.toml");

function stop(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

function cargo(argv, env = {}) {
  const done = spawnSync("cargo", [...argv, "--manifest-path", manifest], {
    cwd: home,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (done.error?.code === "ENOENT")
    stop("cargo is not installed; the core of kbuild is written in Rust (https://rustup.rs)");
  if (done.error) stop(`cargo could not be run: ${done.error.message}`);
  return done;
}

/** The triple of this machine, as rustc names it. */
function hostTarget() {
  const done = spawnSync("rustc", ["-vV"], { cwd: join(home, "native"), encoding: "utf8" });
  const host = /^host: (.+)$/m.exec(done.stdout ?? "")?.[1];
  return host ?? stop("rustc does not say what machine this is");
}

// With a target given, the flags are for the core alone and not for what runs during its build: procedural macros
// cannot be linked statically.
const target = hostTarget();
const flags = [process.env.RUSTFLAGS, "-C target-feature=+crt-static"].filter(Boolean).join(" ");
const built = cargo(
  ["build", "--release", "--locked", "--target", target, "--message-format=json-render-diagnostics"],
  {
    RUSTFLAGS: flags,
  },
);
if (built.status !== 0) stop("the Rust core could not be built (see above)");
const binary = built.stdout
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line))
  .find(
    (message) =>
      message.reason === "compiler-artifact" && message.executable && message.target.name === "kbuild-native",
  );
if (!binary) stop("cargo did not say where it put the core");

const output = join(home, "dist/kbuild-native");
const temporary = `${output}.${process.pid}`;
mkdirSync(dirname(output), { recursive: true });
try {
  // A rename, because a core that runs may be replaced but not written to.
  copyFileSync(binary.executable, temporary);
  chmodSync(temporary, 0o755);
  renameSync(temporary, output);
} catch (error) {
  rmSync(temporary, { force: true });
  stop(`${output} cannot be written: ${error.message}`);
}
