/**
 * The attributes of a target: which kind of value each has, and what becomes of an earlier value, of a target that is
 * inherited or of an earlier file. In the order in which `--print` shows them. Bake file reference, "Target".
 */
export const ATTRIBUTES = {
  description: { kind: "text", merge: "replace" },
  inherits: { kind: "texts", merge: "append" },
  annotations: { kind: "texts", merge: "append" },
  attest: { kind: "specs", merge: "byType" },
  context: { kind: "text", merge: "replace" },
  contexts: { kind: "map", merge: "append" },
  dockerfile: { kind: "text", merge: "replace" },
  "dockerfile-inline": { kind: "text", merge: "replace" },
  args: { kind: "map", merge: "append" },
  labels: { kind: "map", merge: "append" },
  tags: { kind: "texts", merge: "replace" },
  "cache-from": { kind: "specs", merge: "append" },
  "cache-to": { kind: "specs", merge: "replace" },
  target: { kind: "text", merge: "replace" },
  secret: { kind: "specs", merge: "append" },
  ssh: { kind: "specs", merge: "append" },
  platforms: { kind: "texts", merge: "replace" },
  output: { kind: "specs", merge: "replace" },
  pull: { kind: "boolean", merge: "replace" },
  "no-cache": { kind: "boolean", merge: "replace" },
  network: { kind: "text", merge: "replace" },
  "no-cache-filter": { kind: "texts", merge: "append" },
  "shm-size": { kind: "text", merge: "replace" },
  ulimits: { kind: "texts", merge: "append" },
  resources: { kind: "limits", merge: "append" },
  call: { kind: "text", merge: "replace" },
  entitlements: { kind: "texts", merge: "append" },
  "extra-hosts": { kind: "map", merge: "append" },
} as const;

export type AttributeName = keyof typeof ATTRIBUTES;

/** An output, a cache, a secret, an agent or an attestation, taken apart: `type=docker,dest=x.tar`. */
export type Spec = Readonly<Record<string, string | boolean | readonly string[]>>;

interface ValueOfKind {
  readonly text: string;
  readonly texts: readonly string[];
  readonly boolean: boolean;
  readonly map: Readonly<Record<string, string>>;
  readonly specs: readonly Spec[];
  readonly limits: Readonly<Record<string, string | number>>;
}

/** What a target says, in the shape in which `--print` shows it. What it does not say is absent. */
export type TargetAttributes = {
  readonly [Name in AttributeName]?: ValueOfKind[(typeof ATTRIBUTES)[Name]["kind"]];
};

export type AttributeValue = ValueOfKind[keyof ValueOfKind];

export const ATTRIBUTE_NAMES = Object.keys(ATTRIBUTES) as AttributeName[];

export function isAttribute(name: string): name is AttributeName {
  return Object.hasOwn(ATTRIBUTES, name);
}

/** The same attributes, with one set or, by `undefined`, taken away. */
export function withAttribute(
  attributes: TargetAttributes,
  name: AttributeName,
  value: AttributeValue | undefined,
): TargetAttributes {
  return { ...attributes, [name]: value };
}

/** What a target says when what it says comes after what another one said. */
export function merged(before: TargetAttributes, after: TargetAttributes): TargetAttributes {
  let found = before;
  for (const name of ATTRIBUTE_NAMES) {
    const value = after[name];
    if (value !== undefined) found = withAttribute(found, name, together(name, before[name], value));
  }
  return found;
}

function together(name: AttributeName, before: AttributeValue | undefined, after: AttributeValue): AttributeValue {
  const { merge } = ATTRIBUTES[name];
  if (before === undefined || merge === "replace") return after;
  if (Array.isArray(before) && Array.isArray(after)) {
    if (merge === "append") return unique([...before, ...after]);
    const types = new Set(after.map(({ type }: Spec) => type));
    return [...before.filter(({ type }: Spec) => !types.has(type)), ...after];
  }
  return isMapValue(before) && isMapValue(after) ? { ...before, ...after } : after;
}

function isMapValue(value: AttributeValue): value is ValueOfKind["map"] | ValueOfKind["limits"] {
  return typeof value === "object" && !Array.isArray(value);
}

/** Each once, the first of those that are the same. */
export function unique<T extends string | Spec>(list: readonly T[]): readonly T[] {
  return [...new Map(list.map((one) => [JSON.stringify(one), one] as const)).values()];
}

/** Attributes in order and maps in order of their keys; lists say each thing once, and what is empty is left out. */
export function normalized(attributes: TargetAttributes): TargetAttributes {
  let found: TargetAttributes = {};
  for (const name of ATTRIBUTE_NAMES) {
    const value = attributes[name];
    if (value === undefined) continue;
    const neat = neatValue(name, value);
    if (neat !== undefined) found = withAttribute(found, name, neat);
  }
  return found;
}

function neatValue(name: AttributeName, value: AttributeValue): AttributeValue | undefined {
  if (typeof value !== "object") return value;
  if (isTexts(value)) return value.length === 0 ? undefined : unique(value);
  if (Array.isArray(value)) return value.length === 0 ? undefined : unique<Spec>(value);
  // A context without a source is one that is taken back.
  const entries = Object.entries(value).filter(([, text]) => name !== "contexts" || text !== "");
  if (entries.length === 0) return undefined;
  return name === "resources" ? value : Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function isTexts(value: AttributeValue): value is readonly string[] {
  return Array.isArray(value) && value.every((member) => typeof member === "string");
}
