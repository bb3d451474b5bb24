import { posix } from "node:path";
import { suggest } from "../../parser/suggest.ts";
import { type AttributeName, type AttributeValue, merged, type Spec, type TargetAttributes } from "../attributes.ts";
import { attributeValue, type TargetDefinition } from "../definitions.ts";
import { canonicalAttest } from "../shorthands.ts";
import { faultAt, type Place } from "../source.ts";
import { specOf } from "../specs.ts";
import { type ReadNamedFile, variablesOfFiles } from "./env-files.ts";
import type { Reader } from "./reader.ts";
import type { Member, Tree } from "./yaml.ts";

export interface ServiceFacts {
  readonly reader: Reader;
  /** The secrets that the file declares. */
  readonly secrets: ReadonlyMap<string, Member>;
  readonly readFile: ReadNamedFile;
}

type Read = (tree: Tree, facts: ServiceFacts, environment: ReadonlyMap<string, string>) => AttributeValue | undefined;

interface Key {
  readonly attribute: AttributeName;
  readonly read: Read;
}

const text =
  (what: string): Read =>
  (tree, { reader }) =>
    reader.text(tree, what);
const texts =
  (what: string): Read =>
  (tree, { reader }) =>
    reader.texts(tree, what);
const boolean =
  (what: string): Read =>
  (tree, { reader }) =>
    reader.boolean(tree, what);
const specs =
  (what: "cache-from" | "cache-to"): Read =>
  (tree, { reader }) =>
    reader.texts(tree, what).map((one) => specOf(what, one, tree.place));
const attest =
  (type: string): Read =>
  (tree, { reader }) => {
    const value = reader.text(tree, type);
    return value === undefined ? undefined : [specOf("attest", canonicalAttest(type, value), tree.place)];
  };

/** The keys of `build`. Compose build specification, "Attributes". */
const BUILD: Readonly<Record<string, Key>> = {
  context: { attribute: "context", read: (tree, facts) => contextOf(tree, facts) },
  dockerfile: { attribute: "dockerfile", read: text("dockerfile") },
  dockerfile_inline: { attribute: "dockerfile-inline", read: text("dockerfile_inline") },
  args: { attribute: "args", read: argumentsOf },
  labels: { attribute: "labels", read: (tree, { reader }) => filled(reader.pairs(tree, "labels"), "") },
  target: { attribute: "target", read: text("target") },
  tags: { attribute: "tags", read: texts("tags") },
  platforms: { attribute: "platforms", read: texts("platforms") },
  cache_from: { attribute: "cache-from", read: specs("cache-from") },
  cache_to: { attribute: "cache-to", read: specs("cache-to") },
  no_cache: { attribute: "no-cache", read: boolean("no_cache") },
  pull: { attribute: "pull", read: boolean("pull") },
  network: { attribute: "network", read: text("network") },
  shm_size: { attribute: "shm-size", read: text("shm_size") },
  extra_hosts: { attribute: "extra-hosts", read: hostsOf },
  ulimits: { attribute: "ulimits", read: ulimitsOf },
  secrets: { attribute: "secret", read: secretsOf },
  ssh: { attribute: "ssh", read: sshOf },
  additional_contexts: { attribute: "contexts", read: contextsOf },
  entitlements: { attribute: "entitlements", read: texts("entitlements") },
  sbom: { attribute: "attest", read: attest("sbom") },
  provenance: { attribute: "attest", read: attest("provenance") },
};
const REFUSED: Readonly<Record<string, string>> = {
  isolation: "kbuild builds for Linux",
  privileged: "a step asks for it: RUN --security=insecure",
};

/** The keys of `x-bake`, which are named as the attributes of targets. */
const X_BAKE: readonly AttributeName[] = [
  "tags",
  "cache-from",
  "cache-to",
  "secret",
  "ssh",
  "platforms",
  "output",
  "pull",
  "no-cache",
  "no-cache-filter",
  "contexts",
];

/** The target of a service; undefined when it is not built. */
export function targetOf(name: string, service: Tree, place: Place, facts: ServiceFacts): TargetDefinition | undefined {
  const members = facts.reader.members(service, `the service ${name}`);
  const build = members.get("build");
  if (build === undefined || (build.value.kind === "plain" && build.value.value === null)) return undefined;
  const files = members.get("env_file");
  const ofFiles = files === undefined ? [] : variablesOfFiles(files.value, facts.reader, facts.readFile);
  const environment = new Map<string, string>(ofFiles);
  const own = members.get("environment");
  for (const [variable, value] of own === undefined ? [] : facts.reader.pairs(own.value, "environment")) {
    if (value !== undefined) environment.set(variable, value);
  }
  const found = readBuild(build.value, facts, environment);
  const image = members.get("image");
  const tag = image === undefined ? undefined : facts.reader.text(image.value, "image");
  if (tag !== undefined && image !== undefined && (found.attributes.tags ?? []).length === 0) {
    return {
      name,
      place,
      attributes: { ...found.attributes, tags: [tag] },
      places: new Map([...found.places, ["tags", image.place]]),
    };
  }
  return { name, place, ...found };
}

type Found = Pick<TargetDefinition, "attributes" | "places">;

function readBuild(build: Tree, facts: ServiceFacts, environment: ReadonlyMap<string, string>): Found {
  if (build.kind === "plain") {
    const context = contextOf(build, facts);
    return { attributes: context === undefined ? {} : { context }, places: new Map([["context", build.place]]) };
  }
  let attributes: TargetAttributes = {};
  const places = new Map<AttributeName, Place>();
  for (const [key, { value, place }] of facts.reader.members(build, "build")) {
    if (key.startsWith("x-")) continue;
    const known = Object.hasOwn(BUILD, key) ? BUILD[key] : undefined;
    if (known === undefined) throw unknownKey(key, place, Object.keys(BUILD), "build");
    const read = known.read(value, facts, environment);
    if (read === undefined) continue;
    attributes = merged(attributes, { [known.attribute]: read });
    places.set(known.attribute, value.place);
  }
  const further = build.kind === "map" ? build.members.get("x-bake") : undefined;
  if (further === undefined) return { attributes, places };
  for (const [key, { value, place }] of facts.reader.members(further.value, "x-bake")) {
    const attribute = X_BAKE.find((one) => one === key);
    if (attribute === undefined) throw unknownKey(key, place, X_BAKE, "x-bake");
    attributes = withFurther(attributes, attribute, value, facts);
    places.set(attribute, value.place);
  }
  return { attributes, places };
}

function unknownKey(key: string, place: Place, keys: readonly string[], what: string) {
  const reason = Object.hasOwn(REFUSED, key) ? REFUSED[key] : undefined;
  if (reason !== undefined) return faultAt(place, `${key} of ${what} is not supported`, reason);
  const near = suggest(key, keys);
  return faultAt(place, `${what} has no ${key}`, near && `did you mean ${near}?`);
}

/** What `x-bake` says comes on top of what `build` says, lists behind each other. */
function withFurther(
  attributes: TargetAttributes,
  name: AttributeName,
  tree: Tree,
  facts: ServiceFacts,
): TargetAttributes {
  const { reader } = facts;
  if (name === "contexts") {
    const contexts = contextsOf(tree, facts);
    return { ...attributes, contexts: { ...contexts, ...attributes.contexts } };
  }
  if (name === "pull" || name === "no-cache") return { ...attributes, [name]: reader.boolean(tree, name) };
  // A string stands for a list of words.
  const words = reader.texts(tree, name).flatMap((one) => (tree.kind === "plain" ? one.split(/\s+/) : [one]));
  const value = attributeValue(
    name,
    words.filter((word) => word !== ""),
    tree.place,
  );
  const before = attributes[name];
  const lists = [before, value].map((one): readonly (string | Spec)[] => (Array.isArray(one) ? one : []));
  const all = lists.flat();
  return merged({}, { ...attributes, [name]: name === "ssh" ? inOrder(all) : all });
}

function contextOf(tree: Tree, { reader }: ServiceFacts): string | undefined {
  const context = reader.text(tree, "context");
  return context === undefined ? undefined : cleanPath(context);
}

/** A path without what means nothing in it; what is no path stays. */
function cleanPath(path: string): string {
  if (path === "" || path.includes("://") || path.startsWith("git@")) return path;
  return posix.normalize(path).replace(/(?<=.)\/$/, "");
}

/** Agents are told in the order of their names. */
function inOrder(agents: readonly (string | Spec)[]): readonly (string | Spec)[] {
  const idOf = (agent: string | Spec): string => (typeof agent === "string" ? agent : String(agent.id));
  return [...agents].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

/** Pairs with something for those without a value. */
function filled(
  pairs: readonly (readonly [string, string | undefined, Place])[],
  otherwise: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(pairs.map(([name, value]) => [name, value ?? otherwise]));
}

/** An argument without a value has the service's environment's, or ours; and else it is as if it were not there. */
function argumentsOf(
  tree: Tree,
  { reader }: ServiceFacts,
  environment: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    reader.pairs(tree, "args").flatMap(([name, value]) => {
      const found = value ?? environment.get(name) ?? reader.lookup(name);
      return found === undefined ? [] : [[name, found]];
    }),
  );
}

/** A host may have several addresses. */
function hostsOf(tree: Tree, { reader }: ServiceFacts): Readonly<Record<string, string>> {
  const hosts = new Map<string, string>();
  for (const [host, address, place] of reader.pairs(tree, "extra_hosts", "=:")) {
    if (address === undefined) throw faultAt(place, "an extra host is HOST=ADDRESS");
    const before = hosts.get(host);
    hosts.set(host, before === undefined ? address : `${before},${address}`);
  }
  return Object.fromEntries(hosts);
}

function ulimitsOf(tree: Tree, { reader }: ServiceFacts): string[] {
  return [...reader.members(tree, "ulimits")].map(([name, { value, place }]) => {
    if (value.kind === "plain") return `${name}=${reader.text(value, name) ?? ""}`;
    const members = reader.members(value, name);
    const [soft, hard] = ["soft", "hard"].map((key) => {
      const member = members.get(key);
      const found = member && reader.text(member.value, key);
      if (found === undefined) throw faultAt(place, `${name} needs soft and hard`);
      return found;
    });
    return `${name}=${soft}:${hard}`;
  });
}

function secretsOf(tree: Tree, { reader, secrets }: ServiceFacts): Spec[] {
  return reader.items(tree, "secrets").map((item) => {
    const given = item.kind === "map" ? item.members.get("source")?.value : item;
    const id = given && reader.text(given, "a secret");
    if (id === undefined) throw faultAt(item.place, "a secret needs a source");
    const declared = secrets.get(id);
    if (declared === undefined)
      throw faultAt(item.place, `there is no secret ${id}`, "secrets declares them, beside services");
    const members = reader.members(declared.value, id);
    const part = (name: string): string | undefined => {
      const member = members.get(name);
      return member && reader.text(member.value, name);
    };
    if (members.has("external")) throw faultAt(declared.place, `the secret ${id} is external, which a build has not`);
    const [src, env] = [part("file"), part("environment")];
    return { id, ...(src === undefined ? {} : { src: cleanPath(src) }), ...(env === undefined ? {} : { env }) };
  });
}

function sshOf(tree: Tree, { reader }: ServiceFacts): Spec[] {
  const agents = reader.pairs(tree, "ssh").sort(([a], [b]) => (a < b ? -1 : 1));
  return agents.map(([id, path]) => (path === undefined ? { id } : { id, paths: [path] }));
}

/** A context may be another service: `service:db`. */
function contextsOf(tree: Tree, { reader }: ServiceFacts): Readonly<Record<string, string>> {
  return Object.fromEntries(
    reader.pairs(tree, "additional_contexts").map(([name, source = "", place]) => {
      if (source === "") throw faultAt(place, "a context is NAME=SOURCE");
      const [, other] = /^(?:service|target):(.*)$/.exec(source) ?? [];
      return [name, other === undefined ? cleanPath(source) : `target:${other.replaceAll(".", "_")}`];
    }),
  );
}
