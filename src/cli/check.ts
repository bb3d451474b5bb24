import { type CheckRule, KbuildError, suggest } from "../api.ts";
import { dockerfileOptionsOf } from "./build-request.ts";
import { runCall } from "./call.ts";
import { checkOptions } from "./check-options.ts";
import { command } from "./command.ts";
import { bounded, wrap } from "./help-text.ts";
import type { Shell } from "./shell.ts";
import { alignColumns } from "./table.ts";

export const checkCommand = command({
  name: "check",
  usage: "[OPTIONS] [PATH | -]",
  about:
    "Checks a Dockerfile without building it, as kbuild build --check does. PATH is the context, the folder that you are " +
    "in unless told otherwise. The status is 1 when something is found.\n\nA check is skipped for an instruction by a " +
    "comment above it, # check=skip=NAME, and for a file by such a line at its top; # check=error=true there makes findings " +
    "fail builds, too.",
  options: checkOptions,
  operands: { min: 0, max: 1, what: "a folder" },
  examples: [
    "kbuild check",
    "kbuild check -f docker/web.Dockerfile .",
    "kbuild check --format sarif . > kbuild.sarif",
    "kbuild check --explain JSONArgsRecommended",
  ],
  run: async ({ values, operands }, shell) => {
    const { explain, list, format = "text", ignoreStatus = false } = values;
    if (list === true) return await tellAll(shell);
    if (explain !== undefined) return await tell(explain, shell);
    const options = await dockerfileOptionsOf(values, operands[0] ?? ".", shell);
    await runCall({ method: "check", format, ignoreStatus }, options, shell);
  },
});

async function tellAll(shell: Shell): Promise<void> {
  const { checkRules } = await shell.engine();
  const rows = (await checkRules()).map(
    ({ name, description, experimental }) => `${name}\t${description}${experimental ? " (experimental)" : ""}`,
  );
  shell.stdout.write(alignColumns(["CHECK\tWHAT IT ASKS FOR", ...rows]));
}

/** Prints why there is a check. */
async function tell(name: string, shell: Shell): Promise<void> {
  const { checkRules } = await shell.engine();
  const rules = await checkRules();
  const rule = rules.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (rule === undefined) throw unknown(name, rules);
  const columns = bounded(shell.stdout.columns ?? 100);
  const parts = [`${rule.name}: ${rule.description}`, rule.explanation];
  if (rule.experimental) parts.push(`It is experimental: # check=experimental=${rule.name} asks for it.`);
  shell.stdout.write(`${parts.map((part) => wrap(part, columns, "", "")).join("\n\n")}\n`);
}

function unknown(name: string, rules: readonly CheckRule[]): KbuildError {
  const near = suggest(
    name,
    rules.map((rule) => rule.name),
  );
  return new KbuildError("usage.option", `there is no check ${JSON.stringify(name)}`, {
    hint: near === undefined ? "kbuild check --list lists them" : `did you mean ${near}?`,
  });
}
