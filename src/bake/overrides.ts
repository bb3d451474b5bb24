import { KbuildError } from "../errors.ts";
import { suggest } from "../parser/suggest.ts";
import {
  ATTRIBUTE_NAMES,
  ATTRIBUTES,
  type AttributeName,
  type AttributeValue,
  isAttribute,
  merged,
  type Spec,
  type TargetAttributes,
  withAttribute,
} from "./attributes.ts";
import { attributeValue } from "./definitions.ts";
import { namesMatching } from "./patterns.ts";
import { sortedSpec } from "./specs.ts";
import { goBoolean, type Value } from "./values.ts";

/** One `--set PATTERN.KEY[.NAME][+]=VALUE`, several of one key taken together. */
export interface Override {
  readonly key: OverrideKey;
  /** The name in a map: of an argument, a label, a context, a host. */
  readonly name: string | undefined;
  readonly values: readonly string[];
  readonly adds: boolean;
  /** As it was given, the last of several. */
  readonly text: string;
}

type OverrideKey = AttributeName | "push" | "load";

/** Keys that are not called as the attributes that they change. */
const RENAMED: Readonly<Record<string, AttributeName>> = {
  annotation: "annotations",
  arg: "args",
  entitlement: "entitlements",
  "extra-host": "extra-hosts",
  label: "labels",
  platform: "platforms",
  resource: "resources",
  secrets: "secret",
  tag: "tags",
  ulimit: "ulimits",
};
/** What cannot be changed from outside. */
const FIXED: readonly AttributeName[] = ["description", "inherits", "dockerfile-inline"];
/** What is always added to. */
const ADDED: readonly AttributeName[] = ["annotations", "attest", "entitlements"];

/**
 * The overrides for each target. Patterns are those of Go's `path.Match`.
 *
 * @throws KbuildError `usage.bake`
 */
export function readOverrides(
  given: readonly string[],
  targets: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, readonly Override[]> {
  const found = new Map<string, Map<string, Override>>();
  for (const text of given) {
    const [, head = "", plus, value] = /^([^=]*?)(\+?)(?:=([\s\S]*))?$/.exec(text) ?? [];
    const [, pattern = "", typed = "", name] = /^([^.]*)\.([^.]*)(?:\.(.*))?$/s.exec(head) ?? [];
    if (pattern === "" || typed === "")
      throw bad(text, "this must be TARGET.KEY=VALUE", "for instance --set web.args.VERSION=2");
    const key = keyOf(typed, text);
    checkShape(key, name, value, text);
    const told = value ?? (key === "args" && name !== undefined ? env[name] : undefined);
    if (told === undefined) continue;
    for (const target of matching(pattern, targets, text)) {
      const overrides = found.get(target) ?? new Map<string, Override>();
      const id = name === undefined ? key : `${key}.${name}`;
      const before = overrides.get(id);
      const isList = key !== "push" && key !== "load" && ["texts", "specs"].includes(ATTRIBUTES[key].kind);
      overrides.set(id, {
        key,
        name,
        // An empty value takes away what there is.
        values: !isList ? [told] : told === "" && plus !== "+" ? [] : [...(before?.values ?? []), told],
        adds: plus === "+" || before?.adds === true,
        text,
      });
      found.set(target, overrides);
    }
  }
  return new Map([...found].map(([target, overrides]) => [target, [...overrides.values()]] as const));
}

function bad(text: string, reason: string, hint?: string, cause?: unknown): KbuildError {
  return new KbuildError("usage.bake", `--set ${JSON.stringify(text)}: ${reason}`, { hint, cause });
}

function keyOf(typed: string, text: string): OverrideKey {
  const key = Object.hasOwn(RENAMED, typed) ? (RENAMED[typed] ?? typed) : typed;
  if (key === "push" || key === "load") return key;
  if (key === "policy") throw bad(text, "policies are not supported yet");
  if (isAttribute(key) && !FIXED.includes(key)) return key;
  if (isAttribute(key)) throw bad(text, `${typed} can only be set in a file`);
  const near = suggest(typed, [...ATTRIBUTE_NAMES, "push", "load", "platform", "secrets"]);
  throw bad(text, `a target has no ${typed}`, near && `did you mean ${near}?`);
}

function checkShape(key: OverrideKey, name: string | undefined, value: string | undefined, text: string): void {
  const isMap = key !== "push" && key !== "load" && ["map", "limits"].includes(ATTRIBUTES[key].kind);
  if (isMap && !name) throw bad(text, `${key} needs a name`, `for instance --set web.${key}.NAME=VALUE`);
  if (!isMap && name !== undefined) throw bad(text, `${key} has no parts`);
  if (value === undefined && key !== "args")
    throw bad(text, "a value is missing", `for instance --set web.${key}=VALUE`);
}

/** A target of that name, or all that match. */
function matching(pattern: string, targets: readonly string[], text: string): readonly string[] {
  if (targets.includes(pattern)) return [pattern];
  const found = namesMatching(pattern, targets);
  if (found.length > 0) return found;
  const near = suggest(pattern, targets);
  throw bad(
    text,
    `no target matches ${pattern}`,
    near ? `did you mean ${near}?` : `there is ${targets.slice(0, 20).join(", ")}`,
  );
}

/** A target's attributes as `--set` changes them. */
export function overridden(before: TargetAttributes, overrides: readonly Override[]): TargetAttributes {
  return overrides.reduce(applied, before);
}

function applied(attributes: TargetAttributes, { key, name, values, adds, text }: Override): TargetAttributes {
  const [value = ""] = values;
  if (key === "push") return { ...attributes, output: pushed(attributes.output ?? [], booleanOf(value, text)) };
  if (key === "load") return { ...attributes, output: loaded(attributes.output ?? [], booleanOf(value, text)) };
  const { kind } = ATTRIBUTES[key];
  if (kind === "map" && name !== undefined) return merged(attributes, { [key]: { [name]: value } });
  if (kind === "limits" && name !== undefined) {
    return merged(attributes, { [key]: parsed(key, new Map([[name, value]]), text) });
  }
  if (kind === "boolean") return withAttribute(attributes, key, booleanOf(value, text));
  const set = kind === "text" ? value : parsed(key, values, text);
  if (!adds && !ADDED.includes(key)) return withAttribute(attributes, key, set);
  // "+=" adds also to what a later file would replace.
  const isReplaced = ATTRIBUTES[key].merge === "replace" && Array.isArray(set);
  if (!isReplaced) return merged(attributes, { [key]: set });
  const earlier = attributes[key];
  return withAttribute(attributes, key, [...(Array.isArray(earlier) ? earlier : []), ...set]);
}

function parsed(key: AttributeName, values: Value, text: string): AttributeValue {
  try {
    return attributeValue(key, values, undefined) ?? [];
  } catch (error) {
    throw error instanceof KbuildError ? bad(text, error.message, error.hint, error) : error;
  }
}

function booleanOf(given: string, text: string): boolean {
  const value = goBoolean(given);
  if (value === undefined) throw bad(text, "this is neither true nor false");
  return value;
}

/** `--push`: images of outputs are pushed, and where there is no other output than to docker, one is added. */
function pushed(outputs: readonly Spec[], push: boolean): readonly Spec[] {
  if (!push) {
    return outputs
      .filter(({ type }) => type !== "registry")
      .map((output) => (output.type === "image" ? sortedSpec({ ...output, push: "false" }) : output));
  }
  const changed = outputs.map((output) => (output.type === "image" ? sortedSpec({ ...output, push: "true" }) : output));
  return outputs.every(({ type }) => type === "docker") ? [...changed, { push: "true", type: "image" }] : changed;
}

/** `--load`: the image is loaded, unless files are what is wanted. */
function loaded(outputs: readonly Spec[], load: boolean): readonly Spec[] {
  const isLoad = ({ type, dest }: Spec): boolean => type === "docker" && dest === undefined;
  if (!load) return outputs.filter((output) => !isLoad(output));
  const isOther = outputs.some(({ type, dest }) =>
    type === "docker" ? dest === undefined : type !== "image" && type !== "registry" && type !== "oci",
  );
  return isOther ? outputs : [...outputs, { type: "docker" }];
}
