import { availableParallelism, homedir } from "node:os";
import { resolve as resolvePath } from "node:path";
import { planTargets, readDefinitions } from "../../bake/plan.ts";
import { listedTargets, listedVariables, printedPlan } from "../../bake/print.ts";
import type { Resolved } from "../../bake/resolve.ts";
import { overridesOf } from "../../bake/shorthands.ts";
import { KbuildError } from "../../errors.ts";
import { formatPlatform, hostPlatform } from "../../oci/platform.ts";
import { startBuild } from "../build.ts";
import { readInputs } from "../inputs.ts";
import type { BuildOptions, BuildResult, OutputOptions } from "../options.ts";
import { inSession } from "../session.ts";
import { type TargetBuild, targetBuild } from "./build-options.ts";
import type { CommonEvents } from "./events.ts";
import { readBakeFiles, readDotenv, readNamedFile } from "./files.ts";
import type { BakeListing, BakeOptions, BakePlan, BakeSelection } from "./options.ts";
import { runTargets } from "./run-targets.ts";

type Env = NonNullable<BakeSelection["env"]>;

/** What would be built; see `planBake` in `api.ts`. */
export async function planBake(selection: BakeSelection): Promise<BakePlan> {
  const { resolved, warnings } = await resolvedTargets(selection, selection.env ?? process.env);
  return { ...printedPlan(resolved), warnings };
}

/** What files define; see `listBake` in `api.ts`. */
export async function listBake(selection: BakeSelection): Promise<BakeListing> {
  const definitions = await definitionsOf(selection, selection.env ?? process.env, () => undefined);
  return { targets: listedTargets(definitions), variables: listedVariables(definitions) };
}

/** Plans and builds all; gives what each target came to. */
export async function buildTargets(
  options: BakeOptions,
  events: CommonEvents,
): Promise<ReadonlyMap<string, BuildResult>> {
  const env = options.env ?? process.env;
  const { resolved, warnings } = await resolvedTargets(options, env);
  for (const message of warnings) events.warn(message);
  const { root, isolation, insecureRegistries, explain, keepFailed, sourceDateEpoch, signal } = options;
  const common: Partial<BuildOptions> = {
    root,
    isolation,
    insecureRegistries,
    explain,
    keepFailed,
    sourceDateEpoch,
    env,
  };
  // All are read before the first is built, so that a mistake in the last costs no time.
  const targets = new Map<string, TargetBuild>();
  for (const [name, target] of resolved.targets) {
    const build = targetBuild(target, options.allow ?? [], env);
    targets.set(name, { ...build, options: { ...build.options, ...common } });
  }
  checkOutputs(targets);
  const attested = [...resolved.targets].filter(([, { attributes }]) =>
    attributes.attest?.some(({ disabled }) => disabled !== true),
  );
  if (attested.length > 0) {
    const names = attested.map(([name]) => name).join(", ");
    events.warn(`kbuild makes no attestations yet: the images of ${names} come without`);
  }
  const jobs = options.jobs ?? Math.max(2, availableParallelism());
  const inputs = readInputs({ context: ".", ...common });
  // One session for all: what two targets have in common is done once, and what one made is kept until the last is built.
  return inSession(
    { inputs, warn: (_, message) => events.warn(message), root, insecureRegistries, signal },
    (session) =>
      runTargets(targets, events, {
        root: resolvePath(session.tools.store.root),
        jobs: jobs === 0 ? Number.POSITIVE_INFINITY : jobs,
        signal,
        build: (target) => startBuild(target, session),
      }),
  );
}

function checkOutputs(targets: ReadonlyMap<string, TargetBuild>): void {
  const outputs = [...targets].flatMap(([name, { options }]) =>
    (options.outputs ?? []).map((output) => ({ name, dest: fileOf(output) })),
  );
  const taken = new Map<string, string>();
  for (const { name, dest } of outputs) {
    if (dest === undefined) continue;
    const path = dest === "-" ? dest : resolvePath(dest);
    const other = taken.get(path);
    if (other !== undefined && other !== name) {
      const where = dest === "-" ? "standard output" : dest;
      throw new KbuildError("build.bake", `the targets ${other} and ${name} both write to ${where}`, {
        hint: `--set ${name}.output=… gives one of them another output`,
      });
    }
    taken.set(path, name);
  }
}

/** The one file that an output is. Folders may take the files of several targets. */
function fileOf(output: OutputOptions): string | undefined {
  if (output.type === "image" || output.type === "local") return undefined;
  return "tar" in output && output.tar === false ? undefined : output.dest;
}

async function resolvedTargets(
  selection: BakeSelection,
  env: Env,
): Promise<{ readonly resolved: Resolved; readonly warnings: readonly string[] }> {
  // What is said of a target with a matrix is said of each that it makes.
  const warnings = new Set<string>();
  const definitions = await definitionsOf(selection, env, (message) => warnings.add(message));
  const overrides = [...(selection.set ?? []), ...overridesOf(selection)];
  return { resolved: planTargets(definitions, selection.targets ?? [], overrides, env), warnings: [...warnings] };
}

async function definitionsOf(selection: BakeSelection, env: Env, warn: (message: string) => void) {
  return readDefinitions({
    files: readBakeFiles(selection.files),
    env,
    variables: selection.variables ?? {},
    builtins: { BAKE_CMD_CONTEXT: "cwd://", BAKE_LOCAL_PLATFORM: formatPlatform(hostPlatform()) },
    dotenv: readDotenv(),
    readFile: readNamedFile,
    machine: { home: env.HOME ?? homedir(), now: Date.now },
    warn,
  });
}
