import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { SandboxPlan } from "../src/native/sandbox-protocol.ts";
import { readMachine } from "../src/sandbox/machine.ts";
import { openSandbox, type Sandbox } from "../src/sandbox/open.ts";
import { busybox } from "./bases.ts";

const ROUNDS = 200;
/** What the sandbox may cost a RUN, in milliseconds. */
const LIMIT = 15;

/**
 * Runs the smallest command there is, by turns bare and in the sandbox that a build would get, with the core started already,
 * as it is from a build's second RUN on. Gives a table; milliseconds.
 */
export async function measureSandbox(signal: AbortSignal): Promise<string> {
  const folder = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "kbuild-bench-sandbox-"));
  try {
    const tree = path.join(folder, "tree");
    fs.mkdirSync(path.join(tree, "bin"), { recursive: true });
    fs.copyFileSync(busybox(), path.join(tree, "bin/busybox"));
    fs.chmodSync(path.join(tree, "bin/busybox"), 0o755);
    fs.symlinkSync("busybox", path.join(tree, "bin/sh"));
    const sandbox = await openSandbox(readMachine(), { temporary: folder, signal });
    try {
      return await compare(sandbox, folder, tree, signal);
    } finally {
      await sandbox.client.close();
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(sandbox: Sandbox, folder: string, tree: string, signal: AbortSignal): Promise<string> {
  const { client, mode, strategy } = sandbox;
  const bare: number[] = [];
  const inside: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    signal.throwIfAborted();
    bare.push(await timed(() => runBare(path.join(tree, "bin/sh"))));
    const scratch = path.join(folder, `scratch-${round}`);
    fs.mkdirSync(scratch);
    const plan = planOf(sandbox, tree, scratch);
    inside.push(
      await timed(async () => {
        const { status } = await client.run({ plan }, { signal });
        if (status !== 0) throw new Error(`the command ended with status ${status}`);
      }),
    );
    await client.remove({ paths: [scratch] });
  }
  const over = inside.map((time, round) => time - (bare[round] ?? 0));
  const row = (name: string, times: readonly number[]): string =>
    `| ${name} | ${quantile(times, 0.5)} | ${quantile(times, 0.05)} | ${quantile(times, 0.95)} |`;
  return [
    `Mode ${mode}, ${strategy}; ${ROUNDS} rounds; the sandbox may cost ${LIMIT} ms.`,
    "",
    "| sh -c true | median ms | 5 % | 95 % |",
    "| --- | --: | --: | --: |",
    row("bare", bare),
    row("in the sandbox", inside),
    row("the sandbox alone", over),
    "",
    Number(quantile(over, 0.5)) <= LIMIT ? "Within the limit." : "**Over the limit.**",
    "",
  ].join("\n");
}

function planOf({ strategy, owners }: Sandbox, tree: string, scratch: string): SandboxPlan {
  return {
    root: strategy === "overlay" ? { kind: "overlay", lower: [tree], scratch } : { kind: "copy", path: tree },
    owners,
    hostname: "bench",
    network: "host",
    mounts: [],
    command: ["/bin/sh", "-c", "true"],
    environment: ["PATH=/bin"],
    directory: "/",
    uid: 0,
    gid: 0,
    groups: [0],
    security: "default",
    limits: [],
    sharedMemory: 64 << 20,
  };
}

function runBare(shell: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(shell, ["-c", "true"], { stdio: ["ignore", "pipe", "pipe"], env: { PATH: "/bin" } });
    child.once("error", reject);
    child.once("close", (status) => (status === 0 ? resolve() : reject(new Error(`status ${status}`))));
  });
}

async function timed(action: () => Promise<void>): Promise<number> {
  const started = process.hrtime.bigint();
  await action();
  return Number(process.hrtime.bigint() - started) / 1e6;
}

function quantile(times: readonly number[], share: number): string {
  const sorted = [...times].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(2);
}
