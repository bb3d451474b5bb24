import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { type CommandOptions, has, must, type Outcome, run } from "./command.ts";
import { remove, workspace } from "./workspace.ts";

/** A docker daemon of the test's own: its images and containers are its own too, and gone when it stops. */
export interface Dockerd {
  /** For `DOCKER_HOST`. */
  readonly host: string;
  /** The server's version, for instance `20.10.24+dfsg1`. */
  readonly version: string;
  /** Runs `docker ARGS` against it; throws unless the status is 0. */
  run(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** The same, whatever the status. */
  try(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
  stop(): Promise<void>;
}

const PATIENCE = 30_000;
const OVERLAYFS = 0x794c7630;

/**
 * Starts dockerd, without a network of its own, and waits until it answers. Needs root; installs Debian's docker.io where
 * there is no dockerd. Throws, with the daemon's log, when it does not come up: tests that need it must not pass without.
 */
export async function startDockerd(): Promise<Dockerd> {
  if (process.getuid?.() !== 0) throw new Error("dockerd needs root");
  if (!has("dockerd") || !has("docker")) {
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await must("apt-get", ["install", "-y", "--no-install-recommends", "docker.io"], { env, timeout: 600_000 });
  }
  const folder = workspace("kbuild-dockerd");
  // vfs copies every layer whole, but it is the only driver that works on top of an overlay.
  const drivers = fs.statfsSync(folder).type === OVERLAYFS ? ["vfs"] : ["overlay2", "vfs"];
  const failures: string[] = [];
  for (const driver of drivers) {
    const started = await start(path.join(folder, driver), driver);
    if (typeof started !== "string") return started;
    failures.push(started);
  }
  throw new Error(`dockerd does not start:\n${failures.join("\n")}`);
}

/** The daemon, or why there is none. */
async function start(folder: string, driver: string): Promise<Dockerd | string> {
  fs.mkdirSync(folder, { recursive: true });
  const socket = path.join(folder, "sock");
  const logFile = path.join(folder, "log");
  const log = fs.openSync(logFile, "w");
  const host = `unix://${socket}`;
  const argv = [
    `--data-root=${folder}/data`,
    `--exec-root=${folder}/exec`,
    `--pidfile=${folder}/pid`,
    `--host=${host}`,
    `--storage-driver=${driver}`,
    `--config-file=${folder}/daemon.json`,
    "--iptables=false",
    "--ip6tables=false",
    "--bridge=none",
  ];
  fs.writeFileSync(path.join(folder, "daemon.json"), "{}");
  // The daemon ends with the test process, however that ends.
  const child = spawn("setpriv", ["--pdeathsig", "TERM", "dockerd", ...argv], {
    stdio: ["ignore", log, log],
    env: { PATH: `${process.env.PATH}:/usr/sbin`, HOME: folder },
  });
  fs.closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const docker = (argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> =>
    run("docker", argv, { ...options, env: { DOCKER_HOST: host, DOCKER_CONFIG: folder, ...options.env } });

  const deadline = Date.now() + PATIENCE;
  while (isRunning(child) && Date.now() < deadline) {
    if (fs.existsSync(socket)) {
      const answer = await docker(["version", "--format", "{{.Server.Version}}"]);
      if (answer.status === 0) return daemon(answer.stdout.trim());
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  return `${driver}: ${fs.readFileSync(logFile, "utf8").slice(-4000)}`;

  function daemon(version: string): Dockerd {
    return {
      host,
      version,
      try: docker,
      async run(argv, options) {
        const outcome = await docker(argv, options);
        if (outcome.status === 0) return outcome;
        throw new Error(`docker ${argv.join(" ")}: status ${outcome.status}\n${outcome.stdout}${outcome.stderr}`);
      },
      async stop() {
        await stop();
        unmountBelow(folder);
        remove(folder);
      },
    };
  }

  async function stop(): Promise<void> {
    const hard = setTimeout(() => child.kill("SIGKILL"), 15_000);
    if (isRunning(child)) child.kill("SIGTERM");
    await ended;
    clearTimeout(hard);
  }
}

/** Network namespaces of containers stay mounted after the daemon's end. */
function unmountBelow(folder: string): void {
  const mounts = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const below = mounts.map((line) => line.split(" ")[4] ?? "").filter((point) => point.startsWith(`${folder}/`));
  for (const point of below.reverse()) spawnSync("umount", ["-l", point]);
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
