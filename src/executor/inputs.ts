import { KbuildError } from "../errors.ts";
import { hostPlatform, parsePlatform } from "../oci/platform.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import { type Isolation, readIsolation } from "../sandbox/detect.ts";
import { givenArguments } from "./arguments.ts";
import { contextName } from "./context-names.ts";
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
  readonly targetPlatform: Platform;
  readonly given: ReadonlyMap<string, string>;
  /** By their names as {@link contextName} has them. */
  readonly buildContexts: ReadonlyMap<string, string>;
  /** Seconds since 1970 to which times are clamped. */
  readonly epoch: number | undefined;
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
  const references = uniqueReferences((options.tags ?? []).map(readTag));
  const named = (options.outputs ?? []).flatMap((output) => outputReferences(output, []));
  return {
    env,
    references,
    allReferences: uniqueReferences([...references, ...named]),
    buildPlatform: hostPlatform(),
    targetPlatform: options.platform === undefined ? hostPlatform() : readPlatform(options.platform),
    given,
    buildContexts: new Map(Object.entries(options.buildContexts ?? {}).map(checkContext)),
    epoch: readEpoch(options.sourceDateEpoch ?? given.get("SOURCE_DATE_EPOCH") ?? env.SOURCE_DATE_EPOCH),
    isolation: readIsolation(options.isolation ?? "auto"),
    run: readRunSettings(options),
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

function readPlatform(text: string): Platform {
  if (text.includes(",")) {
    throw new KbuildError("usage.notSupported", "several platforms in one build are not supported yet", {
      hint: "build one platform at a time",
    });
  }
  return parsePlatform(text);
}

/** What may stand for a named context. Dockerfile reference, "COPY --from"; docker build's `--build-context`. */
function checkContext([name, source]: readonly [string, string]): readonly [string, string] {
  if (/^(?:https?|git|ssh):\/\/|^git@|^target:|^github\.com\//.test(source)) {
    throw new KbuildError("usage.notSupported", `--build-context ${name}=${source} is not supported yet`, {
      hint: "a folder, docker-image://NAME and oci-layout://FOLDER are",
    });
  }
  return [contextName(name), source];
}

/** https://reproducible-builds.org/specs/source-date-epoch: an integer number of seconds. */
function readEpoch(value: number | string | undefined): number | undefined {
  if (value === undefined || value === "") return undefined;
  const seconds = typeof value === "number" ? value : /^\d{1,12}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isInteger(seconds) && seconds >= 0 && seconds < 253_402_300_800) return seconds;
  throw new KbuildError(
    "usage.epoch",
    `SOURCE_DATE_EPOCH is ${JSON.stringify(value)}, which is no number of seconds since 1970`,
  );
}
