import { command } from "./command.ts";
import { runFailedOptions } from "./options.ts";

export const runFailedCommand = command({
  name: "run",
  usage: "[OPTIONS] NAME [COMMAND [ARG...]]",
  about:
    "Runs a command in the files of a step that failed and was kept with --keep-failed, with the step's environment,\nuser and working directory. Without a command the step's own is run again. Standard input is empty.",
  options: runFailedOptions,
  operands: { min: 1, max: Number.POSITIVE_INFINITY, what: "the name of a failed step" },
  takesCommand: true,
  examples: ["kbuild build --keep-failed .", "kbuild run failed-1 ls -l /src"],
  run: async ({ values, operands }, shell) => {
    const { runInFailedStep } = await shell.engine();
    const [name = "", ...words] = operands;
    shell.exitStatus = await runInFailedStep(name, words, {
      root: values.root,
      signal: shell.interruption.signal,
      onOutput: (stream, bytes) =>
        new Promise((resolve) => {
          (stream === "stdout" ? shell.stdout : shell.stderr).write(bytes, () => resolve());
        }),
    });
  },
});
