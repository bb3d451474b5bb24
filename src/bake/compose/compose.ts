import { suggest } from "../../parser/suggest.ts";
import { checkName, type Definitions, type GroupDefinition, type TargetDefinition } from "../definitions.ts";
import { faultAt, locationOf, type Place, type Source } from "../source.ts";
import { parseDotenv } from "./dotenv.ts";
import type { ReadNamedFile } from "./env-files.ts";
import { extended, mergedTrees } from "./merge.ts";
import { Reader } from "./reader.ts";
import { type ServiceFacts, targetOf } from "./service.ts";
import { type Member, parseYaml } from "./yaml.ts";

export interface ComposeSettings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Those of `--var`, which go before the environment's. */
  readonly variables: Readonly<Record<string, string>>;
  /** The `.env` file beside, if there is one. */
  readonly dotenv: Source | undefined;
  readonly readFile: ReadNamedFile;
  readonly warn: (message: string) => void;
}

const PARTS = ["services", "secrets", "networks", "volumes", "configs", "models", "name", "version", "include"];

/**
 * The targets that compose files define: one for each service that is built, and the group `default` of all.
 *
 * @throws KbuildError `build.bake`
 */
export async function defineCompose(files: readonly Source[], settings: ComposeSettings): Promise<Definitions> {
  const [first, ...others] = await Promise.all(files.map(parseYaml));
  if (first === undefined) return { targets: new Map(), groups: new Map(), variables: [] };
  const whole = others.reduce((before, after) => mergedTrees(before, after), first);
  const name = whole.kind === "map" ? whole.members.get("name")?.value : undefined;
  const reader = readerFor(settings, name?.kind === "plain" ? String(name.value) : undefined);
  const parts = reader.members(whole, "a compose file");
  for (const [part, { place }] of parts) checkPart(part, place, settings.warn);
  const services = membersOf(reader, parts, "services");
  const facts: ServiceFacts = { reader, secrets: membersOf(reader, parts, "secrets"), readFile: settings.readFile };
  const targets = new Map<string, TargetDefinition>();
  for (const [name, { place }] of services) {
    // Dots are the only characters that services have in their names and targets have not.
    const target = name.replaceAll(".", "_");
    checkName(target, place);
    const definition = targetOf(target, extended(services, name), place, facts);
    if (definition !== undefined) targets.set(target, definition);
  }
  const place = parts.get("services")?.place ?? whole.place;
  const group: GroupDefinition = { name: "default", description: undefined, targets: [...targets.keys()], place };
  return { targets, groups: new Map([["default", group]]), variables: [] };
}

/** What a project without a name is called. */
const PROJECT = "bake";

function readerFor({ env, variables, dotenv, warn }: ComposeSettings, project = PROJECT): Reader {
  const outside = (name: string): string | undefined => {
    if (Object.hasOwn(variables, name)) return variables[name];
    return Object.hasOwn(env, name) ? env[name] : undefined;
  };
  const inFile = dotenv === undefined ? new Map<string, string>() : parseDotenv(dotenv, outside);
  const told = new Set<string>();
  return new Reader(
    (name) => outside(name) ?? inFile.get(name) ?? (name === "COMPOSE_PROJECT_NAME" ? project : undefined),
    (name) => {
      if (!told.has(name)) warn(`the variable ${name} is not set, and so is taken to be empty`);
      told.add(name);
    },
  );
}

function checkPart(name: string, place: Place, warn: ComposeSettings["warn"]): void {
  if (name === "include") {
    throw faultAt(place, "include is not supported", "name all files on the command line: -f");
  }
  if (PARTS.includes(name) || name.startsWith("x-")) return;
  const near = suggest(name, PARTS);
  const { file, line, column } = locationOf(place);
  const hint = near ? `; did you mean ${near}?` : "";
  warn(`${file}:${line}:${column}: a compose file has no ${name}, and so it changes nothing${hint}`);
}

function membersOf(reader: Reader, parts: ReadonlyMap<string, Member>, name: string): ReadonlyMap<string, Member> {
  const part = parts.get(name);
  return part === undefined ? new Map() : reader.members(part.value, name);
}
