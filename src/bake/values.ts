import { faultAt, type Place } from "./source.ts";

/**
 * What an expression gives. Lists, tuples and sets are lists here, maps and objects are maps, whose keys are kept in
 * lexical order as cty does.
 */
export type Value = null | string | number | boolean | readonly Value[] | ReadonlyMap<string, Value>;

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMap(value: Value): value is ReadonlyMap<string, Value> {
  return value instanceof Map;
}

/** A map with its keys in lexical order of their code points; of two with one key the later counts. */
export function mapOf(entries: Iterable<readonly [string, Value]>): ReadonlyMap<string, Value> {
  return new Map([...new Map(entries)].sort(([a], [b]) => compareTexts(a, b)));
}

export function compareTexts(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** What a value is called in messages. */
export function kindOf(value: Value): string {
  if (value === null) return "null";
  if (isList(value)) return "a list";
  if (isMap(value)) return "an object";
  return { string: "a string", number: "a number", boolean: "a boolean" }[typeof value as "string"];
}

export function areEqual(a: Value, b: Value): boolean {
  if (isList(a) && isList(b))
    return a.length === b.length && a.every((member, number) => areEqual(member, b[number] ?? null));
  if (isMap(a) && isMap(b)) {
    return a.size === b.size && [...a].every(([key, member]) => b.has(key) && areEqual(member, b.get(key) ?? null));
  }
  return a === b;
}

/** Digits that are told of a number that is not whole: more are an artefact of binary fractions. */
const DIGITS = 15;

/** A number as HCL writes it: in decimal digits, without an exponent. */
export function numberText(value: number): string {
  if (Number.isSafeInteger(value)) return String(Object.is(value, -0) ? 0 : value);
  if (Number.isInteger(value)) return BigInt(value).toString();
  const text = String(Number(value.toPrecision(DIGITS)));
  const [, digits = "", exponent] = /^(-?[\d.]+)e-(\d+)$/.exec(text) ?? [];
  if (exponent === undefined) return text;
  const fraction = digits.replace(/^-?\d+\.?/, "").length;
  return Number(text).toFixed(Math.min(100, Number(exponent) + fraction));
}

/** @throws KbuildError `build.bake` when a value is nothing that a text can be made of */
export function toText(value: Value, place: Place | undefined): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value);
  if (typeof value === "boolean") return String(value);
  throw faultAt(place, `a string is needed here, and this is ${kindOf(value)}`);
}

export function toNumber(value: Value, place: Place | undefined): number {
  if (typeof value === "number") return value;
  if (typeof value === "string" && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(value)) {
    const number = Number(value);
    if (Number.isFinite(number)) return number;
  }
  throw faultAt(place, `a number is needed here, and this is ${described(value)}`);
}

export function toBoolean(value: Value, place: Place | undefined): boolean {
  if (typeof value === "boolean") return value;
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw faultAt(place, `true or false is needed here, and this is ${described(value)}`);
}

/** As Go's `strconv.ParseBool`, which command lines and environments are read with; undefined when it is neither. */
export function goBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(?:0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

export function toList(value: Value, place: Place | undefined): readonly Value[] {
  if (isList(value)) return value;
  throw faultAt(place, `a list is needed here, and this is ${kindOf(value)}`);
}

export function toMap(value: Value, place: Place | undefined): ReadonlyMap<string, Value> {
  if (isMap(value)) return value;
  throw faultAt(place, `an object is needed here, and this is ${kindOf(value)}`);
}

function described(value: Value): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : kindOf(value);
}

/** A value as JSON, as Go writes it: keys in order, and what HTML could take for its own escaped. */
export function jsonText(value: Value): string {
  const text = plainJson(value);
  return text.replace(/[<>&\u2028\u2029]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function plainJson(value: Value): string {
  if (isList(value)) return `[${value.map(plainJson).join(",")}]`;
  if (isMap(value))
    return `{${[...value].map(([key, member]) => `${JSON.stringify(key)}:${plainJson(member)}`).join(",")}}`;
  return typeof value === "number" ? numberText(value) : JSON.stringify(value);
}

/** What `JSON.parse` gave, as a value. */
export function fromJson(json: unknown): Value {
  if (Array.isArray(json)) return json.map(fromJson);
  if (typeof json === "object" && json !== null) {
    return mapOf(Object.entries(json).map(([key, member]) => [key, fromJson(member)] as const));
  }
  return typeof json === "string" || typeof json === "number" || typeof json === "boolean" ? json : null;
}
