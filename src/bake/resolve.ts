import { KbuildError } from "../errors.ts";
import { suggest } from "../parser/suggest.ts";
import { type AttributeName, merged, normalized, type TargetAttributes, withAttribute } from "./attributes.ts";
import type { Definitions, TargetDefinition } from "./definitions.ts";
import { type Override, overridden } from "./overrides.ts";
import { isPattern, namesMatching } from "./patterns.ts";
import { faultAt, type Place } from "./source.ts";

/** A target with all that it inherits and is overridden by. */
export interface ResolvedTarget {
  readonly name: string;
  readonly attributes: TargetAttributes;
  readonly places: ReadonlyMap<AttributeName, Place>;
  readonly place: Place;
  /** Whether it is built only because another target uses it. */
  readonly isLinked: boolean;
}

export interface ResolvedGroup {
  readonly description: string | undefined;
  readonly targets: readonly string[];
}

export interface Resolved {
  readonly groups: ReadonlyMap<string, ResolvedGroup>;
  readonly targets: ReadonlyMap<string, ResolvedTarget>;
}

/**
 * What is built when targets and groups are asked for.
 *
 * @throws KbuildError `build.bake`, `usage.bake`
 */
export function resolve(
  definitions: Definitions,
  wanted: readonly string[],
  overrides: ReadonlyMap<string, readonly Override[]>,
): Resolved {
  return new Resolver(definitions, overrides).resolve(wanted);
}

/** The targets that another one uses, by `contexts = { x = "target:y" }`. */
export function linksOf({ contexts }: TargetAttributes): string[] {
  return Object.values(contexts ?? {}).flatMap((source) =>
    source.startsWith("target:") ? [source.slice("target:".length)] : [],
  );
}

/** Those who refer to each other twice at each of many levels would be followed for ever. */
const MOST_STEPS = 100_000;

class Resolver {
  readonly #definitions: Definitions;
  readonly #overrides: ReadonlyMap<string, readonly Override[]>;
  readonly #targets = new Map<string, ResolvedTarget>();
  #steps = 0;

  constructor(definitions: Definitions, overrides: ReadonlyMap<string, readonly Override[]>) {
    this.#definitions = definitions;
    this.#overrides = overrides;
  }

  resolve(given: readonly string[]): Resolved {
    const groups = new Map<string, ResolvedGroup>();
    const wanted = [...new Set(given.flatMap((name) => this.#named(name)))];
    for (const name of wanted) {
      for (const target of this.#expand(name, groups, undefined, new Set())) {
        if (!this.#targets.has(target)) this.#targets.set(target, this.#whole(target, false));
      }
    }
    // What was asked for by name makes the default group, which is told in the order of names.
    const asked = wanted.filter((name, number) => name !== "default" || (number === 0 && !groups.has("default")));
    const before = groups.get("default");
    const targets = [...new Set([...(before?.targets ?? []), ...asked])].sort();
    groups.set("default", { description: before?.description, targets });
    for (const name of [...this.#targets.keys()]) this.#link(name, []);
    return { groups: inOrder(groups), targets: inOrder(this.#targets) };
  }

  #step(place: Place | undefined): void {
    this.#steps += 1;
    if (this.#steps > MOST_STEPS) throw faultAt(place, "targets and groups refer to each other too often");
  }

  /** What a name stands for: patterns for several, and a service's for its target, which has no dots. */
  #named(name: string): readonly string[] {
    const sanitized = name.replaceAll(".", "_");
    if (!isPattern(sanitized)) return [sanitized];
    const { groups, targets } = this.#definitions;
    const found = namesMatching(sanitized, [...groups.keys(), ...targets.keys()]);
    if (found.length > 0) return found;
    throw this.#missing(name, undefined);
  }

  /** The targets of a group, of the groups in it too, or the target itself. */
  #expand(
    name: string,
    groups: Map<string, ResolvedGroup>,
    from: Place | undefined,
    seen: ReadonlySet<string>,
  ): readonly string[] {
    this.#step(from);
    const group = this.#definitions.groups.get(name);
    // A group that is in itself stands for the target of its name.
    if (group === undefined || seen.has(name)) {
      if (!this.#definitions.targets.has(name)) {
        if (seen.has(name))
          throw faultAt(group?.place, `the group ${name} is in itself: ${[...seen, name].join(" -> ")}`);
        throw this.#missing(name, from);
      }
      return [name];
    }
    const { description, targets, place } = group;
    groups.set(name, { description, targets });
    return [...new Set(targets.flatMap((target) => this.#expand(target, groups, place, new Set([...seen, name]))))];
  }

  #missing(name: string, from: Place | undefined): KbuildError {
    const { targets, groups } = this.#definitions;
    const near = suggest(name, [...targets.keys(), ...groups.keys()]);
    const names = [...groups.keys(), ...targets.keys()].filter((one) => !one.startsWith("_"));
    const hint = near
      ? `did you mean ${near}?`
      : names.length > 0
        ? `there is ${names.slice(0, 20).join(", ")}`
        : undefined;
    if (from !== undefined) return faultAt(from, `there is no target ${name}`, hint);
    const what = name === "default" ? "there is no default target, and none was named" : `there is no target ${name}`;
    return new KbuildError("usage.bake", what, { hint });
  }

  #whole(name: string, isLinked: boolean): ResolvedTarget {
    const { attributes, places, place } = this.#inherited(name, undefined, []);
    const { inherits: _, ...rest } = attributes;
    let found: TargetAttributes = {
      ...rest,
      context: rest.context ?? ".",
      dockerfile: rest.dockerfile || "Dockerfile",
    };
    if (found.network === "host") {
      found = withAttribute(found, "entitlements", [...(found.entitlements ?? []), "network.host"]);
    }
    if (isLinked) found = { ...found, output: [{ type: "cacheonly" }] };
    return { name, attributes: normalized(found), places, place, isLinked };
  }

  /** A target on top of what it inherits: of several, the last counts most. */
  #inherited(name: string, from: Place | undefined, way: readonly string[]): TargetDefinition {
    this.#step(from);
    const target = this.#definitions.targets.get(name);
    if (target === undefined) throw this.#missing(name, from);
    if (way.includes(name)) {
      const circle = [...way.slice(way.indexOf(name)), name].join(" -> ");
      throw faultAt(target.places.get("inherits") ?? target.place, `the target ${name} inherits itself: ${circle}`);
    }
    let attributes: TargetAttributes = {};
    const places = new Map<AttributeName, Place>();
    for (const parent of target.attributes.inherits ?? []) {
      const found = this.#inherited(parent, target.places.get("inherits"), [...way, name]);
      attributes = merged(attributes, found.attributes);
      for (const [attribute, place] of found.places) places.set(attribute, place);
    }
    attributes = merged(attributes, target.attributes);
    for (const [attribute, place] of target.places) places.set(attribute, place);
    const changed = overridden(attributes, this.#overrides.get(name) ?? []);
    return { name, place: target.place, attributes: normalized(changed), places };
  }

  /** Brings in the targets that a target uses. */
  #link(name: string, way: readonly string[]): void {
    const target = this.#targets.get(name);
    if (target === undefined) return;
    const place = target.places.get("contexts") ?? target.place;
    this.#step(place);
    for (const used of linksOf(target.attributes)) {
      if (used === name || way.includes(used)) {
        const circle = [...way.slice(Math.max(0, way.indexOf(used))), name, used].join(" -> ");
        throw faultAt(place, `the target ${used} uses itself: ${circle}`);
      }
      if (!this.#definitions.targets.has(used)) throw this.#missing(used, place);
      const known = this.#targets.get(used) ?? this.#whole(used, true);
      this.#targets.set(used, known);
      this.#link(used, [...way, name]);
      this.#checkPlatforms(target, this.#targets.get(used) ?? known, place);
      this.#passEntitlements(name, used);
    }
  }

  #checkPlatforms(target: ResolvedTarget, used: ResolvedTarget, place: Place): void {
    const [wanted, made] = [target.attributes.platforms ?? [], used.attributes.platforms ?? []];
    const missing = wanted.find((platform) => !made.includes(platform));
    if (wanted.length < 2 || made.length < 2 || missing === undefined) return;
    throw faultAt(place, `${target.name} is built for ${missing}, and ${used.name}, which it uses, is not`);
  }

  /** A target asks for what those that it uses ask for. */
  #passEntitlements(name: string, used: string): void {
    const target = this.#targets.get(name);
    const further = this.#targets.get(used)?.attributes.entitlements;
    if (target === undefined || further === undefined) return;
    const entitlements = [...(target.attributes.entitlements ?? []), ...further];
    const attributes = normalized({ ...target.attributes, entitlements });
    this.#targets.set(name, { ...target, attributes });
  }
}

function inOrder<T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}
