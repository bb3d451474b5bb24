import type { Expression } from "./hcl/syntax.ts";
import { faultAt, type Place } from "./source.ts";
import {
  areEqual,
  compareTexts,
  isList,
  isMap,
  kindOf,
  mapOf,
  toBoolean,
  toList,
  toMap,
  toNumber,
  toText,
  type Value,
} from "./values.ts";

/** HCL's type constraints, as `variable` blocks and `convert` take them. */
export type Type =
  | { readonly kind: "any" | "string" | "number" | "bool" }
  | { readonly kind: "list" | "set" | "map"; readonly of: Type }
  | { readonly kind: "tuple"; readonly of: readonly Type[] }
  | { readonly kind: "object"; readonly of: ReadonlyMap<string, Member> };

/**
 * The type that an expression names: `string`, `list(number)`, `object({ name = string, size = optional(number, 1) })`.
 *
 * @throws KbuildError `build.bake`
 */
export function typeOf(expression: Expression): Type {
  const { kind, place } = expression;
  if (kind === "variable") {
    const { name } = expression;
    if (name === "any" || name === "string" || name === "number" || name === "bool") return { kind: name };
    if (name === "list" || name === "set" || name === "map") return { kind: name, of: { kind: "any" } };
    throw faultAt(
      place,
      `there is no type ${name}`,
      "there is string, number, bool, list, set, map, tuple, object, any",
    );
  }
  // In HCL's JSON form a type is a string.
  const [part, further] = kind === "template" ? expression.parts : [];
  if (part?.kind === "text" && further === undefined)
    return typeOf({ kind: "variable", name: part.text.trim(), place });
  if (kind === "template" && part?.kind === "value" && further === undefined) return typeOf(part.value);
  if (kind !== "call") throw faultAt(place, "a type is needed here", "for instance string, or list(string)");
  const [first, second] = expression.operands;
  if (first === undefined || second !== undefined) throw faultAt(place, `${expression.name} takes 1 type`);
  switch (expression.name) {
    case "list":
    case "set":
    case "map":
      return { kind: expression.name, of: typeOf(first) };
    case "tuple":
      if (first.kind !== "list") throw faultAt(first.place, "a tuple has a list of types: tuple([string, number])");
      return { kind: "tuple", of: first.items.map(typeOf) };
    case "object":
      return objectType(first);
  }
  throw faultAt(place, `there is no type ${expression.name}`);
}

interface Member {
  readonly type: Type;
  readonly isOptional: boolean;
  readonly fallback: Value;
}

function objectType(expression: Expression): Type {
  if (expression.kind !== "object") throw faultAt(expression.place, "an object has names: object({ name = string })");
  const of = new Map<string, Member>();
  for (const { key, value } of expression.items) {
    if (key.kind !== "literal") throw faultAt(key.place, "a name is needed here");
    of.set(toText(key.value, key.place), memberOf(value));
  }
  return { kind: "object", of };
}

function memberOf(expression: Expression): Member {
  if (expression.kind !== "call" || expression.name !== "optional") {
    return { type: typeOf(expression), isOptional: false, fallback: null };
  }
  const [type, fallback] = expression.operands;
  if (type === undefined) throw faultAt(expression.place, "optional takes a type");
  const value = fallback === undefined ? null : literalOf(fallback);
  if (value === undefined) throw faultAt(fallback?.place, "what is optional can only have a plain value by default");
  return { type: typeOf(type), isOptional: true, fallback: value };
}

function literalOf(expression: Expression): Value | undefined {
  if (expression.kind === "literal") return expression.value;
  if (expression.kind !== "template") return undefined;
  const texts = expression.parts.map((part) => (part.kind === "text" ? part.text : undefined));
  return texts.includes(undefined) ? undefined : texts.join("");
}

/** @throws KbuildError `build.bake` when the value cannot be of that type */
export function convert(value: Value, type: Type, place: Place | undefined): Value {
  if (value === null) return null;
  switch (type.kind) {
    case "any":
      return value;
    case "string":
      return toText(value, place);
    case "number":
      return toNumber(value, place);
    case "bool":
      return toBoolean(value, place);
    case "list":
      return toList(value, place).map((member) => convert(member, type.of, place));
    case "set":
      return setOf(toList(value, place).map((member) => convert(member, type.of, place)));
    case "map":
      return mapOf([...toMap(value, place)].map(([key, member]) => [key, convert(member, type.of, place)] as const));
    case "tuple": {
      const members = toList(value, place);
      if (members.length !== type.of.length) {
        throw faultAt(place, `a list of ${type.of.length} is needed here, and this has ${members.length}`);
      }
      return members.map((member, number) => convert(member, type.of[number] ?? { kind: "any" }, place));
    }
    case "object": {
      const given = toMap(value, place);
      return mapOf(
        [...type.of].map(([name, { type: of, isOptional, fallback }]) => {
          const member = given.get(name);
          if (member !== undefined) return [name, convert(member, of, place)] as const;
          if (isOptional) return [name, fallback] as const;
          throw faultAt(place, `${name} is missing in this object`);
        }),
      );
    }
  }
}

/** Each member once, and those of plain kinds in their order, as cty keeps sets. */
export function setOf(members: readonly Value[]): readonly Value[] {
  const unique: Value[] = [];
  const plain = new Set<Value>();
  for (const member of members) {
    if (typeof member !== "object" || member === null) {
      if (plain.has(member)) continue;
      plain.add(member);
    } else if (unique.some((other) => areEqual(other, member))) continue;
    unique.push(member);
  }
  if (unique.every((member) => typeof member === "string")) return unique.map(String).sort(compareTexts);
  if (unique.every((member) => typeof member === "number")) return unique.map(Number).sort((a, b) => a - b);
  return unique;
}

/** How a type is written, as `--list variables` tells it. */
export function typeText(type: Type): string {
  switch (type.kind) {
    case "list":
    case "set":
    case "map":
      return `${type.kind}(${typeText(type.of)})`;
    case "tuple":
      return `tuple([${type.of.map(typeText).join(", ")}])`;
    case "object":
      return `object({${[...type.of].map(([name, { type: of }]) => `${name}=${typeText(of)}`).join(", ")}})`;
    default:
      return type.kind;
  }
}

/** Whether a value can be given by plain text. */
export function isPlain(type: Type): boolean {
  return type.kind === "string" || type.kind === "number" || type.kind === "bool" || type.kind === "any";
}

/** What a value is, in the words of types. */
export function impliedType(value: Value): string {
  if (value === null) return "";
  if (isList(value)) return "tuple";
  if (isMap(value)) return "object";
  return kindOf(value).replace(/^an? /, "").replace("boolean", "bool");
}
