import { KbuildError } from "../errors.ts";
import { normalized } from "./attributes.ts";
import { defineCompose } from "./compose/compose.ts";
import type { Definitions } from "./definitions.ts";
import { define, type Machine } from "./document.ts";
import { parseJsonBody } from "./hcl/json.ts";
import { parseHcl } from "./hcl/parser.ts";
import { readOverrides } from "./overrides.ts";
import { type Resolved, resolve } from "./resolve.ts";
import { Source } from "./source.ts";

/** A file of definitions, as its name and its text. */
export interface BakeFile {
  readonly name: string;
  readonly text: string;
}

/** All that definitions are computed from. */
export interface BakeInputs {
  readonly files: readonly BakeFile[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values for variables, which go before the environment's. */
  readonly variables: Readonly<Record<string, string>>;
  /** What is always there, like `BAKE_LOCAL_PLATFORM`. */
  readonly builtins: Readonly<Record<string, string>>;
  /** The text of `.env`, for compose files. */
  readonly dotenv: string | undefined;
  /** The text of a file that a compose file names, by its path; undefined when it is not there. */
  readonly readFile: (path: string) => string | undefined;
  readonly machine: Machine;
  readonly warn: (message: string) => void;
}

/**
 * The names that are looked for where none is given; all that are there count, later ones more. Bake file reference,
 * "File format".
 */
export const DEFAULT_FILES = [
  "compose.yaml",
  "compose.yml",
  "docker-compose.yml",
  "docker-compose.yaml",
  "docker-bake.json",
  "docker-bake.hcl",
  "docker-bake.override.json",
  "docker-bake.override.hcl",
] as const;

/** @throws KbuildError `build.bake` */
export async function readDefinitions(inputs: BakeInputs): Promise<Definitions> {
  try {
    return await read(inputs);
  } catch (error) {
    // Whoever makes a file can nest what is in it in many ways; the stack ends before all of them are thought of.
    if (!(error instanceof RangeError)) throw error;
    throw new KbuildError("build.bake", "the files are nested too deeply", { cause: error });
  }
}

async function read(inputs: BakeInputs): Promise<Definitions> {
  const sources = inputs.files.map(({ name, text }) => ({ kind: kindOf(name, text), source: new Source(name, text) }));
  const compose = sources.filter(({ kind }) => kind === "compose").map(({ source }) => source);
  const others = sources.filter(({ kind }) => kind !== "compose");
  let definitions: Definitions | undefined;
  if (compose.length > 0) {
    const { env, variables, warn, dotenv, readFile } = inputs;
    const beside = dotenv === undefined ? undefined : new Source(".env", dotenv);
    definitions = await defineCompose(compose, { env, variables, warn, dotenv: beside, readFile });
  }
  if (others.length === 0 && definitions !== undefined) return definitions;
  const bodies = others.map(({ kind, source }) => (kind === "json" ? parseJsonBody(source) : parseHcl(source)));
  const { machine, warn } = inputs;
  return define(bodies, { given: inputs, machine, warn, before: definitions });
}

/** What a file is, by its name or, where that tells nothing, by how it begins. */
function kindOf(name: string, text: string): "hcl" | "json" | "compose" {
  if (/\.ya?ml$/i.test(name)) return "compose";
  if (/\.json$/i.test(name)) return "json";
  if (/\.hcl$/i.test(name)) return "hcl";
  if (/^\s*\{/.test(text)) return "json";
  return /^services[ \t]*:/m.test(text) ? "compose" : "hcl";
}

/**
 * What is built when these targets are asked for.
 *
 * @param overrides as for `--set`
 * @throws KbuildError `build.bake`, `usage.bake`
 */
export function planTargets(
  definitions: Definitions,
  wanted: readonly string[],
  overrides: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Resolved {
  if (definitions.targets.size === 0) throw new KbuildError("build.bake", "the files define no targets");
  const byTarget = readOverrides(overrides, [...definitions.targets.keys()], env);
  const resolved = resolve(definitions, wanted.length === 0 ? ["default"] : wanted, byTarget);
  const epoch = env.SOURCE_DATE_EPOCH;
  if (!epoch) return resolved;
  const targets = [...resolved.targets].map(([name, target]) => {
    const args = { SOURCE_DATE_EPOCH: epoch, ...target.attributes.args };
    return [name, { ...target, attributes: normalized({ ...target.attributes, args }) }] as const;
  });
  return { ...resolved, targets: new Map(targets) };
}
