import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { freePort } from "../test/support/registry.ts";
import type { Account } from "./accounting.ts";
import { dockerClient } from "./docker-client.ts";
import type { DaemonKind } from "./engines.ts";
import type { Places } from "./places.ts";

/** A server of the bench's own, which ends with it. */
export interface Service {
  stop(): Promise<void>;
}

export interface Registry extends Service {
  /** `127.0.0.1:40123`. */
  readonly host: string;
}

export interface Daemon extends Service {
  readonly socket: string;
  /** What is to be said about it in the report. */
  readonly note: string;
}

/** What a base image is at the registry. */
export interface PushedImage {
  readonly repository: string;
  /** Of the layers, compressed as they are. */
  readonly digests: readonly string[];
}

const PATIENCE = 30_000;
const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";

export async function startRegistry(places: Places): Promise<Registry> {
  const host = `127.0.0.1:${await freePort()}`;
  const data = path.join(places.stores, "registry");
  const config = path.join(places.runtime, "registry.yml");
  fs.writeFileSync(
    config,
    [
      "version: 0.1",
      "log: {level: error, accesslog: {disabled: true}}",
      `storage: {filesystem: {rootdirectory: ${JSON.stringify(data)}}}`,
      `http: {addr: ${JSON.stringify(host)}, secret: bench}`,
      "",
    ].join("\n"),
  );
  const server = launch(["docker-registry", "serve", config], places, undefined);
  const answers = async (): Promise<boolean> => {
    try {
      return (await fetch(`http://${host}/v2/`)).ok;
    } catch {
      return false; // Not yet.
    }
  };
  if (await comesUp(server, answers)) return { host, stop: () => end(server, "docker-registry") };
  await end(server, "docker-registry");
  throw new Error(`docker-registry does not start; see ${places.log}`);
}

/** Puts a base into the registry as docker does it, and says what it is there. */
export async function push(registry: Registry, layout: string, name: string): Promise<PushedImage> {
  const repository = `bench/${name}`;
  const destination = `docker://${registry.host}/${repository}:1`;
  execFileSync(
    "skopeo",
    ["copy", "-q", "--format", "v2s2", "--dest-tls-verify=false", `oci:${layout}:1`, destination],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  const answer = await fetch(`http://${registry.host}/v2/${repository}/manifests/1`, { headers: { accept: MANIFEST } });
  if (!answer.ok) throw new Error(`the registry does not give ${repository}: status ${answer.status}`);
  const manifest = (await answer.json()) as { layers: readonly { digest: string }[] };
  return { repository, digests: manifest.layers.map(({ digest }) => digest) };
}

/** Starts the daemon of one engine, counted with it. Throws when it does not come up. */
export async function startDaemon(
  kind: DaemonKind,
  engine: string,
  places: Places,
  account: Account,
  registry: string,
): Promise<Daemon> {
  const socket = path.join(places.runtime, `${engine}.sock`);
  fs.rmSync(socket, { force: true });
  const failures: string[] = [];
  for (const { argv, probe, note, cleanUp } of attempts(kind, engine, socket, places, registry)) {
    const server = launch(argv, places, account);
    const answers = async (): Promise<boolean> =>
      fs.existsSync(socket) && spawnSync(probe[0] ?? "", probe.slice(1), { timeout: PATIENCE }).status === 0;
    if (await comesUp(server, answers)) {
      return {
        socket,
        note,
        stop: async () => {
          await end(server, kind);
          cleanUp();
        },
      };
    }
    await end(server, kind);
    failures.push(note);
  }
  throw new Error(`${kind} does not start (${failures.join("; ")}); see ${places.log}`);
}

interface Attempt {
  readonly argv: readonly string[];
  readonly probe: readonly string[];
  readonly note: string;
  readonly cleanUp: () => void;
}

/** The ways to start a daemon, the fastest first. */
function attempts(
  kind: DaemonKind,
  engine: string,
  socket: string,
  places: Places,
  registry: string,
): readonly Attempt[] {
  const data = path.join(places.stores, engine);
  const home = path.join(places.runtime, engine);
  fs.mkdirSync(home, { recursive: true });
  const cleanUp = (): void => removeStore(data);
  if (kind === "buildkitd") {
    const config = path.join(home, "buildkitd.toml");
    fs.writeFileSync(
      config,
      [
        `root = ${JSON.stringify(data)}`,
        `[grpc]\naddress = [${JSON.stringify(`unix://${socket}`)}]`,
        "[worker.oci]\nenabled = true",
        "[worker.containerd]\nenabled = false",
        `[registry.${JSON.stringify(registry)}]\nhttp = true\n`,
      ].join("\n"),
    );
    const argv = ["buildkitd", "--config", config];
    return [
      { argv, probe: ["buildctl", "--addr", `unix://${socket}`, "debug", "workers"], note: "oci worker", cleanUp },
    ];
  }
  fs.writeFileSync(path.join(home, "daemon.json"), "{}");
  return ["overlay2", "fuse-overlayfs", "vfs"].map((driver) => ({
    argv: [
      "dockerd",
      `--data-root=${data}/${driver}`,
      `--exec-root=${home}/exec`,
      `--pidfile=${home}/pid`,
      `--config-file=${home}/daemon.json`,
      `--host=unix://${socket}`,
      `--storage-driver=${driver}`,
      "--iptables=false",
      "--ip6tables=false",
      "--bridge=none",
    ],
    probe: [dockerClient(), "--host", `unix://${socket}`, "version"],
    note: `storage driver ${driver}`,
    cleanUp,
  }));
}

/** Removes a folder of an engine, by a command of its own if it needs one, and what it left mounted there. */
export function removeStore(folder: string, command?: readonly string[]): void {
  const points = fs
    .readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point.startsWith(`${folder}/`));
  for (const point of points.reverse()) spawnSync("umount", ["-l", point]);
  if (command && fs.existsSync(folder)) execFileSync(command[0] ?? "", command.slice(1), { stdio: "pipe" });
  fs.rmSync(folder, { recursive: true, force: true });
}

/** A process that gets SIGTERM when the bench ends, however that ends. */
function launch(argv: readonly string[], places: Places, account: Account | undefined): ChildProcess {
  const log = fs.openSync(places.log, "a");
  fs.writeSync(log, `\n$ ${argv.join(" ")} &\n`);
  account?.enter();
  const child = spawn("setpriv", ["--pdeathsig", "TERM", ...argv], {
    stdio: ["ignore", log, log],
    env: { PATH: process.env.PATH, HOME: places.runtime, OTEL_TRACES_EXPORTER: "none" },
    detached: true,
  });
  account?.leave();
  fs.closeSync(log);
  child.once("error", () => {}); // isRunning tells it.
  if (child.pid !== undefined) account?.watch(child.pid);
  return child;
}

async function comesUp(server: ChildProcess, answers: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + PATIENCE;
  while (isRunning(server) && Date.now() < deadline) {
    if (await answers()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

async function end(server: ChildProcess, name: string): Promise<void> {
  if (!isRunning(server)) return;
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const hard = setTimeout(() => {
    process.stderr.write(`${name} does not stop when asked; it is killed\n`);
    server.kill("SIGKILL");
  }, 20_000);
  server.kill("SIGTERM");
  await ended;
  clearTimeout(hard);
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
