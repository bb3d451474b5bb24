import type * as Engine from "../api.ts";
import { Interruption } from "./interruption.ts";
import { syncOutput } from "./sync-output.ts";

/** A stream that is written to: standard output or standard error. */
export interface Output {
  /** `done` is called when the data is out, or with the reason why it is not. */
  write(data: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** What a command may touch of the process. */
export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly interruption: Interruption;
  readonly debug: boolean;
  /** How the error that ends the command is written; a command that promised JSON lines says so. */
  errorsAs: "text" | "json";
  /** The status of a command that did what it should; one that runs something passes on that one's. */
  exitStatus: number;
  /** The engine, loaded when it is first needed. */
  engine(): Promise<typeof Engine>;
  now(): number;
}

/** The shell of this process. Its streams are opened when they are first used: each costs a millisecond. */
export function processShell(argv: readonly string[]): Shell {
  const interruption = new Interruption();
  let out: Output | undefined;
  let err: Output | undefined;
  const broken = (error: NodeJS.ErrnoException): void => {
    // `kbuild … | head`: the reader has seen enough. Nothing else can be done about a broken standard stream either.
    interruption.interrupt(error.code === "EPIPE" ? "SIGPIPE" : "SIGTERM");
  };
  const guarded = (stream: NodeJS.WriteStream): Output => stream.on("error", broken);
  return {
    env: process.env,
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      out ??= guarded(process.stdout);
      return out;
    },
    get stderr() {
      err ??= syncOutput(2, broken) ?? guarded(process.stderr);
      return err;
    },
    interruption,
    debug: argv.includes("--debug") || argv.includes("-D"),
    errorsAs: "text",
    exitStatus: 0,
    engine: () => import("../api.ts"),
    now: Date.now,
  };
}
