import { KbuildError, type Location } from "../errors.ts";
import { shown } from "../parser/characters.ts";
import type { Dockerfile } from "../parser/instructions.ts";
import { platformArguments } from "./arguments.ts";
import { contextName } from "./context-names.ts";
import { EPOCH_ARGUMENT, readEpoch, showEpoch } from "./epoch.ts";
import type { BuildInputs } from "./inputs.ts";
import type { LoadedBuild } from "./load-build.ts";
import { evaluateGlobals } from "./plan.ts";

/**
 * What a build was given, with the time that it is held to: where the Dockerfile has the argument in front of its first
 * FROM, or a name stands for what has the time, that is known only now. Dockerfile reference, "BuildKit built-in build
 * args".
 * @throws KbuildError `usage.epoch`, `build.epoch`, `registry.*`
 */
export async function settleEpoch(loaded: LoadedBuild, inputs: BuildInputs): Promise<BuildInputs> {
  const { given } = inputs;
  if (given.has(EPOCH_ARGUMENT)) return inputs.epochOf === undefined ? inputs : named(inputs.epochOf, loaded, inputs);
  const { dockerfile } = loaded;
  const location = placeOfDefault(dockerfile);
  if (location === undefined) return inputs;
  const [targetPlatform] = inputs.targetPlatforms;
  const automatic = platformArguments(inputs.buildPlatform, targetPlatform ?? inputs.buildPlatform, "default");
  try {
    const wish = readEpoch(evaluateGlobals(dockerfile, given, automatic).get(EPOCH_ARGUMENT));
    return typeof wish === "string" ? await named(wish, loaded, inputs) : { ...inputs, epoch: wish };
  } catch (error) {
    if (!(error instanceof KbuildError) || error.code !== "usage.epoch") throw error;
    const { message, hint, cause } = error;
    throw new KbuildError("build.epoch", message, { location, source: dockerfile.source, hint, cause });
  }
}

/** Where the ARG in front of the first FROM has its value. */
function placeOfDefault({ globalArguments }: Dockerfile): Location | undefined {
  const items = globalArguments.flatMap((instruction) => instruction.items);
  return items.findLast(({ name, value }) => name === EPOCH_ARGUMENT && value !== undefined)?.value?.location;
}

async function named(name: string, loaded: LoadedBuild, inputs: BuildInputs): Promise<BuildInputs> {
  const epoch = await timeOf(name, loaded, inputs);
  if (epoch === undefined) {
    const what = name === "context" ? "the build context" : shown(name);
    const message = `${what} has no time that images could be held to: it is no commit, and nothing tells when it was made`;
    const hint = `set ${EPOCH_ARGUMENT} to a number of seconds`;
    if (inputs.needsEpoch) throw new KbuildError("usage.epoch", message, { hint });
    loaded.contextTools.warn("SourceDateEpoch", `${message}; ${hint}`);
  }
  const given = new Map(inputs.given).set(EPOCH_ARGUMENT, epoch === undefined ? "" : String(epoch));
  return { ...inputs, epoch, epochOf: undefined, given };
}

async function timeOf(name: string, loaded: LoadedBuild, inputs: BuildInputs): Promise<number | undefined> {
  if (name === "context") return loaded.contextTime();
  const sources = await import("./epoch-sources.ts");
  const context = inputs.buildContexts.get(contextName(name));
  if (context !== undefined) return sources.timeOfContext(context, loaded.contextTools);
  const { dockerfile } = loaded;
  const stage = dockerfile.stages.find(({ from }) => from.name?.text === name.toLowerCase());
  if (stage !== undefined) return sources.timeOfStage(stage, dockerfile, inputs, loaded.contextTools);
  throw new KbuildError(
    "usage.epoch",
    `${EPOCH_ARGUMENT} is ${showEpoch(name)}, which is neither a number of seconds since 1970 nor a stage or a named context`,
    { hint: `${EPOCH_ARGUMENT}=context takes the time of the build context` },
  );
}
