import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as path from "node:path";
import { HOME, workspace } from "./workspace.ts";

export interface Outcome {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came. */
  readonly bytes: Buffer;
}

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to a bare environment (PATH, HOME, the locale). `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** For standard input; nothing by default. */
  readonly input?: string | Uint8Array;
  readonly uid?: number;
  readonly gid?: number;
  /** Milliseconds after which the command is killed; default two minutes. */
  readonly timeout?: number;
  /** Called with the process once it runs. */
  readonly started?: (child: ChildProcess) => void;
}

let ownHome: string | undefined;

/** A home folder of this test process: some tools make one where there is none, and everybody else would see it. */
function home(): string {
  ownHome ??= workspace("kbuild-home");
  return ownHome;
}

/** Runs a program to its end, whatever its status. */
export function run(program: string, argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, {
      cwd: options.cwd ?? HOME,
      env: { PATH: `${process.env.PATH}:/usr/sbin`, HOME: home(), LANG: "C.UTF-8", ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (part: Buffer) => out.push(part));
    child.stderr.on("data", (part: Buffer) => err.push(part));
    child.stdin.on("error", () => {});
    child.stdin.end(options.input);
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeout ?? 120_000);
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      const bytes = Buffer.concat(out);
      resolve({ status, signal, stdout: bytes.toString(), stderr: Buffer.concat(err).toString(), bytes });
    });
    options.started?.(child);
  });
}

/** Runs a program and throws, with what it printed, when its status is not 0. */
export async function must(program: string, argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const outcome = await run(program, argv, options);
  if (outcome.status !== 0) {
    throw new Error(
      `${program} ${argv.join(" ")}: ${outcome.signal ?? `status ${outcome.status}`}\n${outcome.stdout}${outcome.stderr}`,
    );
  }
  return outcome;
}

/** The command line as it is shipped. */
export const KBUILD: string = path.join(HOME, "dist/kbuild.cjs");

/** Something that runs kbuild with one store. */
export interface Kbuild {
  readonly root: string;
  /** Whatever the status. */
  run(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Throws unless the status is 0. */
  must(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
}

export function kbuildWith(root: string): Kbuild {
  const withRoot = (options: CommandOptions = {}): CommandOptions => ({
    ...options,
    env: { KBUILD_ROOT: root, ...options.env },
  });
  return {
    root,
    run: (argv, options) => run(process.execPath, [KBUILD, ...argv], withRoot(options)),
    must: (argv, options) => must(process.execPath, [KBUILD, ...argv], withRoot(options)),
  };
}

/** Whether a program is on PATH. */
export function has(program: string): boolean {
  return (
    spawnSync("sh", ["-c", `command -v ${program}`], { env: { PATH: `${process.env.PATH}:/usr/sbin` } }).status === 0
  );
}

/**
 * Whether tests that need something can run. Where CI is set, it is an error that it is missing: nothing is left out
 * in silence there.
 */
export function available(what: string, there: boolean): boolean {
  if (!there && process.env.CI && process.env.CI !== "false")
    throw new Error(`${what} is needed, and CI leaves nothing out`);
  if (!there) console.log(`skipped: ${what} is needed`);
  return there;
}
