import { KbuildError } from "../api.ts";
import { findCommand } from "./commands.ts";
import type { Shell } from "./shell.ts";

/** Runs one command line; gives the exit status. Never throws: what goes wrong is told on standard error. */
export async function run(argv: readonly string[], shell: Shell): Promise<number> {
  try {
    const { load, rest } = findCommand(argv);
    await (await load()).execute(rest, shell);
    return shell.interruption.exitStatus ?? shell.exitStatus;
  } catch (error) {
    return await report(error, shell);
  }
}

/** The only place where an error becomes an exit status. */
async function report(error: unknown, shell: Shell): Promise<number> {
  const { errorText } = await import("./report.ts");
  const isInterrupted = error instanceof KbuildError && error.code === "interrupted";
  const ownStatus = error instanceof KbuildError ? error.exitStatus : 1;
  const status = isInterrupted ? (shell.interruption.exitStatus ?? ownStatus) : ownStatus;
  shell.stderr.write(errorText(error, status, shell));
  return status;
}
