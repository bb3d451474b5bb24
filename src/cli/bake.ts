import { type BakeFile, type BakeOptions, type BakePlan, type BakeSelection, KbuildError } from "../api.ts";
import { listText, readList } from "./bake-list.ts";
import { bakeOptions } from "./bake-options.ts";
import { messageOf, show, tellNotes } from "./build.ts";
import { readAll, styleOf } from "./build-request.ts";
import { command } from "./command.ts";
import type { Values } from "./option-table.ts";

import { removeStale, writeMetadata } from "./results.ts";
import type { Shell } from "./shell.ts";
import { boolean } from "./values.ts";

type Typed = Values<typeof bakeOptions>;

export const bakeCommand = command({
  name: "bake",
  usage: "[OPTIONS] [TARGET...]",
  aliases: ["kbuild buildx bake"],
  about:
    "Builds the targets that files define: docker-bake.hcl, docker-bake.json, and the services of compose files. Without\na target, the one or the group that is named default.",
  options: bakeOptions,
  examples: [
    "kbuild bake",
    "kbuild bake -f docker-bake.hcl --set '*.args.VERSION=2' web db",
    "kbuild bake --print",
    "kbuild bake --list targets",
  ],
  run: async ({ values, operands, notes }, shell) => {
    if (values.print && values.list !== undefined) {
      throw new KbuildError("usage.option", "--print and --list cannot be used together");
    }
    const selection = await selectionOf(values, operands, shell);
    const engine = await shell.engine();
    if (values.list !== undefined) {
      const list = readList(values.list);
      shell.stdout.write(listText(await engine.listBake(selection), list));
      return;
    }
    if (values.print) {
      const plan = await engine.planBake(selection);
      tellWarnings(plan, shell);
      const { group, target } = plan;
      shell.stdout.write(`${JSON.stringify({ group, target }, null, 2)}\n`);
      return;
    }
    const style = styleOf(values, shell);
    if (style === "json") shell.errorsAs = "json";
    tellNotes([...notes, ...allowNotes(values)], style, shell);
    if (values.metadataFile !== undefined) removeStale(values.metadataFile);
    if (shell.stdout.isTTY) checkTerminal(await engine.planBake(selection));
    const running = engine.bake(bakeOptionsOf(values, selection, shell));
    const failure = running.then(() => undefined, messageOf);
    await show(style, running, failure, values.explain === true, shell);
    const { targets } = await running;
    if (values.metadataFile !== undefined) writeMetadata(targets, values.metadataFile, shell.env);
  },
});

async function selectionOf(values: Typed, operands: readonly string[], shell: Shell): Promise<BakeSelection> {
  checkEnvironment(shell.env);
  const remote = operands.find((operand) => /^(?:https?|git|ssh):\/\/|^git@|^github\.com\//.test(operand));
  if (remote !== undefined) {
    throw new KbuildError("usage.notSupported", `definitions from a URL are not supported yet: ${remote}`, {
      hint: "fetch them first (git clone, curl), and name the file: -f",
    });
  }
  const { noCache, pull, push, load, provenance, sbom } = values;
  return {
    files: await filesOf(values.file ?? filesOfEnvironment(shell.env), shell),
    targets: operands,
    set: values.set,
    variables: values.variable && Object.fromEntries(values.variable.map(variableOf)),
    noCache,
    pull,
    push,
    load,
    provenance,
    sbom,
    call: values.call ?? (values.check ? "check" : undefined),
    env: shell.env,
  };
}

function variableOf([name, value]: readonly [string, string | undefined]): readonly [string, string] {
  if (value !== undefined) return [name, value];
  throw new KbuildError("usage.option", `--var ${JSON.stringify(name)}: this must be NAME=VALUE`);
}

/** Standard input is read here, once. */
async function filesOf(
  names: readonly string[] | undefined,
  shell: Shell,
): Promise<readonly (string | BakeFile)[] | undefined> {
  if (names === undefined) return undefined;
  if (names.filter((name) => name === "-").length > 1) {
    throw new KbuildError("usage.stdin", "standard input can only be one of the files");
  }
  return Promise.all(names.map(async (name) => (name === "-" ? { name, text: await readAll(shell.stdin) } : name)));
}

/** `BUILDX_BAKE_FILE` names files where the command line does not. */
function filesOfEnvironment({
  BUILDX_BAKE_FILE,
  BUILDX_BAKE_PATH_SEPARATOR,
}: Shell["env"]): readonly string[] | undefined {
  const names = (BUILDX_BAKE_FILE ?? "").split(BUILDX_BAKE_PATH_SEPARATOR || ":").map((name) => name.trim());
  const files = names.filter((name) => name !== "");
  return files.length === 0 ? undefined : files;
}

function checkEnvironment({ BUILDX_BAKE_FILE_RELATIVE_PATHS: relative }: Shell["env"]): void {
  if (!relative || !boolean(relative, "BUILDX_BAKE_FILE_RELATIVE_PATHS")) return;
  throw new KbuildError("usage.notSupported", "BUILDX_BAKE_FILE_RELATIVE_PATHS is not supported yet", {
    hint: "paths are relative to the working directory: run kbuild where the file is",
  });
}

const ENTITLEMENTS = ["network.host", "security.insecure"] as const;
const ACCESS = /^(?:fs(?:\.read|\.write)?|ssh)(?:=|$)/;

function bakeOptionsOf(values: Typed, selection: BakeSelection, { interruption }: Shell): BakeOptions {
  const { jobs, root, isolation, insecureRegistry, keepFailed, explain } = values;
  if (jobs !== undefined && jobs < 0) throw new KbuildError("usage.option", "--jobs is at least 0");
  const allow = (values.allow ?? []).flatMap((text) => {
    if (ACCESS.test(text)) return [];
    const entitlement = ENTITLEMENTS.find((one) => one === text);
    if (entitlement !== undefined) return [entitlement];
    throw new KbuildError("usage.option", `--allow ${JSON.stringify(text)}: there is nothing of that name to allow`, {
      hint: `there is ${ENTITLEMENTS.join(", ")}`,
    });
  });
  return {
    ...selection,
    root,
    isolation,
    insecureRegistries: insecureRegistry,
    keepFailed,
    explain,
    jobs,
    allow,
    signal: interruption.signal,
  };
}

function allowNotes({ allow }: Typed): string[] {
  return (allow ?? [])
    .filter((text) => ACCESS.test(text))
    .map((text) => `--allow ${text}: targets may use all files and agents that you may use`);
}

function tellWarnings({ warnings }: BakePlan, { stderr }: Shell): void {
  for (const message of warnings) stderr.write(`warning: ${message}\n`);
}

/** An archive would make a terminal unreadable. */
function checkTerminal({ target }: BakePlan): void {
  for (const [name, { output }] of Object.entries(target)) {
    const isThere = output?.some(
      ({ type, dest }) => dest === "-" || (dest === undefined && (type === "oci" || type === "tar")),
    );
    if (isThere !== true) continue;
    throw new KbuildError("usage.terminal", `the target ${name} writes an archive, which does not go to a terminal`, {
      hint: `--set ${name}.output=type=oci,dest=FILE, or redirect standard output`,
    });
  }
}
