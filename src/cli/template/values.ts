import { printableJson } from "../render/text.ts";

/**
 * Values as Go's text/template sees them: strings, numbers and booleans; arrays are slices, a `Map` is a map, any other
 * object is a struct (asking for a field that it lacks is an error); `undefined` is what a map gives for a missing key.
 */
export type Value = unknown;

/** A nil, and a member that has its zero value and is left out of JSON: Go prints each in its own way. */
export class Nil {
  readonly #json: null | undefined;
  /** As `%v` prints it. */
  readonly printed: "[]" | "map[]" | "<nil>" | "" | "false";

  private constructor(printed: Nil["printed"], json: null | undefined) {
    this.printed = printed;
    this.#json = json;
  }

  static readonly slice = new Nil("[]", null);
  static readonly map = new Nil("map[]", null);
  static readonly omittedSlice = new Nil("[]", undefined);
  static readonly omittedMap = new Nil("map[]", undefined);
  static readonly omittedPointer = new Nil("<nil>", undefined);
  static readonly omittedText = new Nil("", undefined);
  static readonly omittedFalse = new Nil("false", undefined);

  toJSON(): null | undefined {
    return this.#json;
  }
}

/** An object of JSON that stands for a Go map. */
export function mapOf(object: Readonly<Record<string, Value>>): ReadonlyMap<string, Value> {
  return new Map(Object.entries(object));
}

export function isStruct(value: Value): value is Readonly<Record<string, Value>> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map) &&
    !(value instanceof Nil)
  );
}

/** The keys of a map as Go prints and ranges over them: sorted. */
export function sortedKeys(map: ReadonlyMap<string, Value>): string[] {
  return [...map.keys()].sort((left, right) => (left < right ? -1 : 1));
}

/** What `if`, `and`, `not` take for true: text/template, "Actions": not the empty value of its type. */
export function isTrue(value: Value): boolean {
  if (value === undefined || value === null || value instanceof Nil) return false;
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return isStruct(value) || Boolean(value);
}

/** What an action prints: `%v`, and `<no value>` for what is not there. */
export function printed(value: Value): string {
  return value === undefined ? "<no value>" : formatted(value);
}

/** Go's `%v`. Values come from documents whose depth is bounded. */
export function formatted(value: Value): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "<nil>";
  if (value instanceof Nil) return value.printed;
  if (Array.isArray(value)) return `[${value.map(formatted).join(" ")}]`;
  if (value instanceof Map) {
    return `map[${sortedKeys(value)
      .map((key) => `${key}:${formatted(value.get(key))}`)
      .join(" ")}]`;
  }
  if (isStruct(value)) return `{${Object.values(value).map(formatted).join(" ")}}`;
  return String(value);
}

/** A value as one line of JSON. */
export function json(value: Value): string {
  const text = JSON.stringify(value, (_, member: Value) => {
    return member instanceof Map ? Object.fromEntries(sortedKeys(member).map((key) => [key, member.get(key)])) : member;
  });
  return printableJson(text ?? "null");
}
