import { KbuildError } from "../errors.ts";
import { formatPlatform, hostPlatform, parsePlatform } from "../oci/platform.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import { type Isolation, readIsolation } from "../sandbox/detect.ts";
import { type Annotations, readAnnotations } from "./annotations.ts";
import { givenArguments } from "./arguments.ts";
import { contextName } from "./context-names.ts";
import { EPOCH_ARGUMENT, readEpoch } from "./epoch.ts";
import type { BuildOptions, OutputOptions } from "./options.ts";
import { type RunSettings, readRunSettings } from "./run/limits.ts";

/** What a build's options mean: names parsed, defaults filled in, contradictions found. */
export interface BuildInputs {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Names for every output. */
  readonly references: readonly Reference[];
  /** With those that single outputs have. */
  readonly allReferences: readonly Reference[];
  readonly buildPlatform: Platform;
  /** At least one, each once. */
  readonly targetPlatforms: readonly Platform[];
  readonly annotations: Annotations;
  readonly given: ReadonlyMap<string, string>;
  /** By their names as {@link contextName} has them. */
  readonly buildContexts: ReadonlyMap<string, string>;
  /** Seconds since 1970 to which times are clamped. */
  readonly epoch: number | undefined;
  /** The name of what has the time to which they are clamped, where that is not known yet. */
  readonly epochOf: string | undefined;
  /** Whether there has to be such a time. */
  readonly needsEpoch: boolean;
  /** Undefined: the best that there is. */
  readonly isolation: Isolation | undefined;
  readonly run: RunSettings;
}

/**
 * Reads a build's options. Nothing is touched on disk, so that what is wrong with them is found before anything else.
 * @throws KbuildError `usage.*`
 */
export function readInputs(options: BuildOptions): BuildInputs {
  const env = options.env ?? process.env;
  const given = givenArguments(options.buildArgs, env);
  // As docker's client does, so that an ARG of that name has it.
  const wished = options.sourceDateEpoch ?? (env[EPOCH_ARGUMENT] || undefined);
  if (wished !== undefined && !given.has(EPOCH_ARGUMENT)) given.set(EPOCH_ARGUMENT, String(wished));
  const epoch = readEpoch(options.sourceDateEpoch ?? given.get(EPOCH_ARGUMENT));
  const references = uniqueReferences((options.tags ?? []).map(readTag));
  for (const source of options.cacheFrom ?? []) {
    if (source.type === "registry") parseReference(source.ref, "usage.reference");
  }
  const targetPlatforms = readPlatforms(options.platform);
  const named = (options.outputs ?? []).flatMap((output) => outputReferences(output, []));
  return {
    env,
    references,
    allReferences: uniqueReferences([...references, ...named]),
    buildPlatform: hostPlatform(),
    targetPlatforms,
    annotations: readAnnotations(options.annotations, targetPlatforms),
    given,
    buildContexts: new Map(Object.entries(options.buildContexts ?? {}).map(checkContext)),
    needsEpoch: options.sourceDateEpoch !== undefined,
    ...(typeof epoch === "string" ? { epoch: undefined, epochOf: epoch } : { epoch, epochOf: undefined }),
    isolation: readIsolation(options.isolation ?? "auto"),
    run: readRunSettings(options, given),
  };
}

/** The names that an image gets in an output: those of the build, and the output's own. */
export function outputReferences(output: OutputOptions, common: readonly Reference[]): Reference[] {
  const own = "name" in output && output.name !== undefined ? output.name.split(",").map(readTag) : [];
  return uniqueReferences([...common, ...own]);
}

function readTag(name: string): Reference {
  const reference = parseReference(name, "usage.reference");
  if (reference.digest === undefined) return reference;
  throw new KbuildError(
    "usage.reference",
    `${JSON.stringify(name)} has a digest, which an image only gets by being built`,
    {
      hint: "leave out the @ and what follows it",
    },
  );
}

function uniqueReferences(references: readonly Reference[]): Reference[] {
  const seen = new Map<string, Reference>();
  for (const reference of references) seen.set(JSON.stringify(reference), reference);
  return [...seen.values()];
}

/** One or several platforms, apart from each other by commas or as a list; `local` is this machine's. */
function readPlatforms(given: BuildOptions["platform"]): readonly Platform[] {
  const texts = (typeof given === "string" ? [given] : (given ?? [])).flatMap((text) => text.split(","));
  const platforms = texts
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map((text) => (text === "local" ? hostPlatform() : parsePlatform(text)));
  const different = new Map(platforms.map((platform) => [formatPlatform(platform), platform]));
  return different.size === 0 ? [hostPlatform()] : [...different.values()];
}

/** What may stand for a named context: what `context/named.ts` and `base.ts` know. */
function checkContext([name, source]: readonly [string, string]): readonly [string, string] {
  if (name === "") throw new KbuildError("usage.option", `--build-context =${source} has no name`);
  if (contextName(name) === "scratch") {
    throw new KbuildError("usage.option", `--build-context ${name}=${source}: scratch is always empty`, {
      hint: "give the context another name, and use that in FROM or --from",
    });
  }
  if (source.startsWith("target:")) {
    throw new KbuildError("usage.notSupported", `--build-context ${name}=${source}: targets are those of kbuild bake`, {
      hint: "name a stage in FROM or --from instead",
    });
  }
  return [contextName(name), source];
}

/** Whether a build argument of BuildKit's switches something on. */
export function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(1|t|true)$/i.test(value);
}
