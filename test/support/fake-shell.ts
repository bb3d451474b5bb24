import type * as Engine from "../../src/api.ts";
import { Interruption } from "../../src/cli/interruption.ts";
import { run } from "../../src/cli/run.ts";
import type { Output, Shell } from "../../src/cli/shell.ts";

export interface FakeOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  /** Of standard output and standard error; none: both are pipes. */
  readonly terminal?: { readonly columns: number; readonly rows?: number } | undefined;
  /** Stands for the engine, or for a part of it; the others are the real one's. */
  readonly engine?: Partial<typeof Engine>;
  readonly debug?: boolean;
}

export interface Told {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came. */
  readonly bytes: Buffer;
}

/** The clock of fake shells. */
export const NOW: number = Date.parse("2026-01-01T00:00:00Z");

/** A shell whose streams are kept; the interruption is its own. */
export function fakeShell(options: FakeOptions = {}): Shell & { told(): Omit<Told, "status"> } {
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  const { terminal, engine } = options;
  const output = (parts: Buffer[]): Output => ({
    write: (data, done) => {
      parts.push(Buffer.from(data));
      done?.();
    },
    isTTY: terminal !== undefined,
    columns: terminal?.columns,
    rows: terminal?.rows,
  });
  return {
    env: options.env ?? {},
    stdin: (async function* () {
      yield Buffer.from(options.stdin ?? "");
    })(),
    stdout: output(out),
    stderr: output(err),
    interruption: new Interruption(),
    debug: options.debug ?? false,
    errorsAs: "text",
    exitStatus: 0,
    engine: async () => ({ ...(await import("../../src/api.ts")), ...engine }),
    now: () => NOW,
    told: () => ({
      stdout: Buffer.concat(out).toString(),
      stderr: Buffer.concat(err).toString(),
      bytes: Buffer.concat(out),
    }),
  };
}

/** Runs a command line as `main` does, in this process. */
export async function runCommand(argv: readonly string[], options: FakeOptions = {}): Promise<Told> {
  const shell = fakeShell(options);
  try {
    const status = await run(argv, shell);
    return { status, ...shell.told() };
  } finally {
    shell.interruption.release();
  }
}
