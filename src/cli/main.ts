import { run } from "./run.ts";
import { processShell } from "./shell.ts";

async function main(argv: readonly string[]): Promise<void> {
  const shell = processShell(argv);
  process.exitCode = await run(argv, shell);
  // Whatever was interrupted may have left a stream open that would keep the process.
  if (shell.interruption.exitStatus !== undefined) process.exit();
}

void main(process.argv.slice(2));
