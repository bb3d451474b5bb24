import {
  ATTRIBUTES,
  type AttributeName,
  type AttributeValue,
  type TargetAttributes,
  withAttribute,
} from "./attributes.ts";
import type { Attribute } from "./hcl/syntax.ts";
import { faultAt, type Place } from "./source.ts";
import { type SpecName, specOf } from "./specs.ts";
import { isList, isMap, kindOf, toBoolean, toList, toMap, toNumber, toText, type Value } from "./values.ts";

/** A target as a file defines it: what it inherits is not in it yet. */
export interface TargetDefinition {
  readonly name: string;
  readonly attributes: TargetAttributes;
  /** Where each attribute was said last. */
  readonly places: ReadonlyMap<AttributeName, Place>;
  readonly place: Place;
}

export interface GroupDefinition {
  readonly name: string;
  readonly description: string | undefined;
  readonly targets: readonly string[];
  readonly place: Place;
}

/** All that the files define. */
export interface Definitions {
  readonly targets: ReadonlyMap<string, TargetDefinition>;
  readonly groups: ReadonlyMap<string, GroupDefinition>;
  readonly variables: readonly VariableDefinition[];
}

export interface VariableDefinition {
  readonly name: string;
  readonly description: string | undefined;
  /** As written in `type`, or what its default is. */
  readonly type: string;
  readonly value: Value;
}

/**
 * The value of an attribute as its kind asks for it; `undefined` for null, which says nothing.
 *
 * @throws KbuildError `build.bake`
 */
export function attributeValue(
  name: AttributeName,
  value: Value,
  place: Place | undefined,
): AttributeValue | undefined {
  if (value === null) return undefined;
  switch (ATTRIBUTES[name].kind) {
    case "text":
      return toText(value, place);
    case "boolean":
      return toBoolean(value, place);
    case "texts":
      return listFor(name, value, place).flatMap((member) => (member === null ? [] : [toText(member, place)]));
    case "specs":
      // An empty string says nothing: it is what a condition gives that is not met.
      return listFor(name, value, place)
        .filter((member) => member !== null && member !== "")
        .map((member) => specOf(name as SpecName, member, place));
    case "limits":
      return limitsOf(toMap(value, place), place);
    case "map": {
      const entries = [...toMap(value, place)];
      return Object.fromEntries(
        entries.flatMap(([key, member]) => (member === null ? [] : [[key, memberText(name, key, member, place)]])),
      );
    }
  }
}

/** Limits of steps, in the order in which they are shown; those of processor time are numbers. */
const LIMITS: Readonly<Record<string, "text" | "number">> = {
  memory: "text",
  "memory-swap": "text",
  "cpu-shares": "number",
  "cpu-period": "number",
  "cpu-quota": "number",
  "cpuset-cpus": "text",
  "cpuset-mems": "text",
};

function limitsOf(
  given: ReadonlyMap<string, Value>,
  place: Place | undefined,
): Readonly<Record<string, string | number>> {
  const names = Object.keys(LIMITS);
  const odd = [...given.keys()].find((name) => !names.includes(name));
  if (odd !== undefined) throw faultAt(place, `resources has no ${odd}`, `it has ${names.join(", ")}`);
  const entries = names.flatMap((name): (readonly [string, string | number])[] => {
    const value = given.get(name) ?? null;
    if (value === null) return [];
    return [[name, LIMITS[name] === "number" ? toNumber(value, place) : toText(value, place)]];
  });
  return Object.fromEntries(entries);
}

function listFor(name: string, value: Value, place: Place | undefined): readonly Value[] {
  if (isList(value)) return value;
  const hint = isMap(value) ? undefined : `in brackets: ${name} = [${JSON.stringify(value)}]`;
  throw faultAt(place, `${name} is a list, and this is ${kindOf(value)}`, hint);
}

function memberText(name: string, key: string, value: Value, place: Place | undefined): string {
  if (isList(value) || isMap(value))
    throw faultAt(place, `${key} of ${name} is ${kindOf(value)}, and must be a string`);
  return toText(value, place);
}

/** Attributes that were computed, with their places. */
export function definitionOf(
  name: string,
  place: Place,
  given: readonly { readonly name: AttributeName; readonly value: Value; readonly place: Place }[],
): TargetDefinition {
  let attributes: TargetAttributes = {};
  const places = new Map<AttributeName, Place>();
  for (const one of given) {
    const value = attributeValue(one.name, one.value, one.place);
    if (value === undefined) continue;
    attributes = withAttribute(attributes, one.name, value);
    places.set(one.name, one.place);
  }
  return { name, attributes, places, place };
}

/** Names that targets and groups may have. */
export function checkName(name: string, place: Place): void {
  if (/^[a-zA-Z0-9_-]+$/.test(name)) return;
  throw faultAt(place, `${JSON.stringify(name)} is no name for a target`, "names have letters, digits, _ and -");
}

export function find(attributes: readonly Attribute[], name: string): Attribute | undefined {
  return attributes.find((attribute) => attribute.name === name);
}

/** The texts of a list that is an attribute. */
export function textsOf(value: Value, place: Place): string[] {
  return toList(value, place).map((member) => toText(member, place));
}
