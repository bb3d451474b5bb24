import { spawn } from "node:child_process";
import * as fs from "node:fs";
import type { Account } from "./accounting.ts";
import type { Person } from "./person.ts";

/** What one command took. */
export interface Figures {
  /** Seconds. */
  readonly wall: number;
  readonly user: number;
  readonly system: number;
  /**
   * Bytes: the most that all processes together had resident at one time, the daemon's included. What the kernel keeps of
   * files is not in it, since that depends on how much memory lies idle.
   */
  readonly peak: number;
}

export interface MeasureOptions {
  readonly account: Account;
  /** Whose account it runs with. */
  readonly person: Person;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Where what it prints goes; a command that fails is told with the end of it. */
  readonly log: string;
  /** Seconds after which it is killed. */
  readonly patience: number;
  readonly signal: AbortSignal;
}

/** A command that failed, with the end of what it printed. */
export class CommandFailed extends Error {}

const SAMPLE_EVERY = 10;
const TOLD_BYTES = 2000;

/** Runs one command to its end. @throws CommandFailed */
export async function measure(command: readonly string[], options: MeasureOptions): Promise<Figures> {
  const { account, signal } = options;
  signal.throwIfAborted();
  const log = fs.openSync(options.log, "a+");
  try {
    fs.writeSync(log, `\n$ ${command.join(" ")}\n`);
    const from = fs.fstatSync(log).size;
    const before = account.usage();
    const memory = memoryOf(account);
    // The bench stays in the account while the command runs: leaving it, it would hold up the start of processes.
    account.enter();
    const sampling = setInterval(memory.sample, SAMPLE_EVERY);
    const { wall, failure } = await runToEnd(command, options, log).finally(() => {
      clearInterval(sampling);
      account.leave();
    });
    signal.throwIfAborted();
    if (failure !== "") throw new CommandFailed(`${command.join(" ")}: ${failure}\n${tail(log, from)}`);
    const after = account.usage();
    // The clocks of the group and of the bench's own share differ by a little, which shows where next to nothing was used.
    const user = Math.max(0, after.user - before.user);
    const system = Math.max(0, after.system - before.system);
    return { wall, user, system, peak: memory.peak() };
  } finally {
    fs.closeSync(log);
  }
}

/** Seconds from the start of a process to its end, and why it failed; empty when it did not. */
async function runToEnd(
  [program = "", ...argv]: readonly string[],
  { account, person, env, cwd, patience, signal }: MeasureOptions,
  log: number,
): Promise<{ readonly wall: number; readonly failure: string }> {
  const started = process.hrtime.bigint();
  const child = spawn(program, argv, { cwd, env, stdio: ["ignore", log, log], detached: true, ...person.become });
  const { pid } = child;
  if (pid !== undefined) account.watch(pid);
  const stop = (): void => {
    if (pid !== undefined) killGroup(pid);
  };
  signal.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(stop, patience * 1000);
  const failure = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (status, killer) => resolve(killer ?? (status === 0 ? "" : `status ${status}`)));
  });
  const wall = Number(process.hrtime.bigint() - started) / 1e9;
  clearTimeout(timer);
  signal.removeEventListener("abort", stop);
  return { wall, failure };
}

/**
 * Samples of resident memory, summed over the processes. Between two samples a process can grow; so the most that each
 * new one ever had (VmHWM) is looked at as well. A daemon's own peak lies in the past, and does not count.
 */
function memoryOf(account: Account): { sample: () => void; peak: () => number } {
  const old = new Set(account.pids());
  let peak = 0;
  return {
    sample() {
      let sum = 0;
      for (const pid of account.pids()) {
        const status = statusOf(pid);
        sum += kibibytes(status, "VmRSS");
        if (!old.has(pid)) peak = Math.max(peak, kibibytes(status, "VmHWM"));
      }
      peak = Math.max(peak, sum);
    },
    peak: () => peak * 1024,
  };
}

function statusOf(pid: number): string {
  try {
    return fs.readFileSync(`/proc/${pid}/status`, "latin1");
  } catch {
    return ""; // It ended just now.
  }
}

function kibibytes(status: string, name: string): number {
  const at = status.indexOf(`${name}:`);
  return at < 0 ? 0 : Number.parseInt(status.slice(at + name.length + 1), 10);
}

function tail(log: number, from: number): string {
  const { size } = fs.fstatSync(log);
  const start = Math.max(from, size - TOLD_BYTES);
  const bytes = Buffer.alloc(size - start);
  fs.readSync(log, bytes, 0, bytes.length, start);
  return bytes.toString("utf8").trim();
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended at the same moment.
  }
}
