import { KbuildError } from "../../api.ts";
import { quote, sprintf } from "./printf.ts";
import { formatted, isStruct, isTrue, json, Nil, printed, sortedKeys, type Value } from "./values.ts";

/** A function of templates. What it throws is put into words by the caller, which knows the place. */
export interface TemplateFunction {
  readonly least: number;
  readonly most: number;
  call(values: readonly Value[]): Value;
}

/** Why a function cannot do what it was asked. */
export class Refusal extends KbuildError {
  constructor(reason: string) {
    super("usage.template", reason);
  }
}

const MOST_PADDING = 1000;
const MOST_SEPARATORS = 16 * 1024 * 1024;

/** Go's own functions of text/template, and those that docker adds. `and` and `or` are the evaluator's. */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ["not", of(1, (value) => !isTrue(value))],
  ["len", of(1, length)],
  ["index", { least: 1, most: 100, call: ([value, ...keys]) => keys.reduce(index, value) }],
  ["slice", { least: 1, most: 3, call: ([value, from, to]) => slice(value, from, to) }],
  ["print", { least: 0, most: 1000, call: print }],
  ["println", { least: 0, most: 1000, call: (values) => `${values.map(formatted).join(" ")}\n` }],
  ["printf", { least: 1, most: 1000, call: ([format, ...values]) => sprintf(text(format, "printf"), values) }],
  ["html", { least: 1, most: 1000, call: (values) => html(values.map(printed).join("")) }],
  ["urlquery", { least: 1, most: 1000, call: (values) => urlQuery(values.map(printed).join("")) }],
  ["eq", { least: 2, most: 1000, call: ([value, ...others]) => others.some((other) => isEqual(value, other)) }],
  ["ne", of(2, (left, right) => !isEqual(left, right))],
  ["lt", of(2, (left, right) => compare(left, right) < 0)],
  ["le", of(2, (left, right) => compare(left, right) <= 0)],
  ["gt", of(2, (left, right) => compare(left, right) > 0)],
  ["ge", of(2, (left, right) => compare(left, right) >= 0)],
  // docker's.
  ["json", of(1, json)],
  ["split", of(2, (value, by) => text(value, "split").split(text(by, "split")))],
  ["join", of(2, (values, by) => join(texts(values), text(by, "join")))],
  [
    "title",
    of(1, (value) => text(value, "title").replace(/(?<![\p{L}\p{N}_'])\p{L}/gu, (letter) => letter.toUpperCase())),
  ],
  ["lower", of(1, (value) => text(value, "lower").toLowerCase())],
  ["upper", of(1, (value) => text(value, "upper").toUpperCase())],
  ["pad", of(3, pad)],
  ["truncate", of(2, (value, length) => truncate(text(value, "truncate"), whole(length, "truncate")))],
]);

/** In the headline of a table, docker's functions let the names of the columns through as they are. */
export const headlineFunctions: ReadonlyMap<string, TemplateFunction> = new Map([
  ...functions,
  ...["json", "title", "lower", "upper"].map((name) => [name, of(1, (value) => value)] as const),
  ["truncate", of(2, (value) => value)] as const,
]);

function of(count: number, call: (...values: Value[]) => Value): TemplateFunction {
  return { least: count, most: count, call: (values) => call(...values) };
}

function text(value: Value, name: string): string {
  if (typeof value === "string") return value;
  if (value instanceof Nil && value.printed === "") return "";
  throw new Refusal(`${name} needs a text, and this is ${described(value)}`);
}

function whole(value: Value, name: string): number {
  if (typeof value === "number" && Number.isInteger(value)) return value;
  throw new Refusal(`${name} needs a whole number, and this is ${described(value)}`);
}

/** Refuses what would be longer than any text may be. */
function join(members: readonly string[], by: string): string {
  if (by.length * members.length > MOST_SEPARATORS) throw new Refusal("join makes too long a text");
  return members.join(by);
}

function texts(value: Value): string[] {
  if (value instanceof Nil && value.printed === "[]") return [];
  if (!Array.isArray(value)) throw new Refusal(`join needs a list, and this is ${described(value)}`);
  return value.map((member: Value) => text(member, "join"));
}

/** What a value is, for errors. */
export function described(value: Value): string {
  if (value === undefined) return "nothing";
  if (value === null || value instanceof Nil) return "nil";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Map) return "a map";
  if (isStruct(value)) return "an object";
  const shown = typeof value === "string" ? quote(value.length > 40 ? `${value.slice(0, 40)}…` : value) : String(value);
  return typeof value === "string" ? `the text ${shown}` : shown;
}

function length(value: Value): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  if (value instanceof Nil && value.printed !== "<nil>") return 0;
  throw new Refusal(`len needs a text, a list or a map, and this is ${described(value)}`);
}

function index(value: Value, key: Value): Value {
  if (value instanceof Map) {
    if (typeof key !== "string") throw new Refusal(`a map is indexed by a text, and this is ${described(key)}`);
    // Go gives the zero value of the members' type; docker's maps hold texts, or structs without members.
    if (value.has(key)) return value.get(key);
    return typeof value.values().next().value === "string" ? "" : undefined;
  }
  if (value instanceof Nil && value.printed === "map[]") return "";
  const list =
    typeof value === "string" ? Buffer.from(value) : value instanceof Nil && value.printed === "[]" ? [] : value;
  if (!Array.isArray(list) && !Buffer.isBuffer(list))
    throw new Refusal(`index needs a list or a map, and this is ${described(value)}`);
  if (typeof key !== "number" || !Number.isInteger(key)) {
    throw new Refusal(`a list is indexed by a whole number, and this is ${described(key)}`);
  }
  if (key < 0 || key >= list.length) throw new Refusal(`the index ${key} is out of range: there are ${list.length}`);
  return list[key];
}

function slice(value: Value, from: Value, to: Value): Value {
  const size = length(value);
  const start = from === undefined ? 0 : whole(from, "slice");
  const end = to === undefined ? size : whole(to, "slice");
  if (start < 0 || end > size || start > end) throw new Refusal(`the range ${start} to ${end} is not within ${size}`);
  if (typeof value === "string") return Buffer.from(value).subarray(start, end).toString();
  if (Array.isArray(value)) return value.slice(start, end);
  if (value instanceof Nil && value.printed !== "map[]") return value;
  throw new Refusal(`slice needs a text or a list, and this is ${described(value)}`);
}

/** Go's `fmt.Sprint`: spaces only between two that are both no texts. */
function print(values: readonly Value[]): string {
  let all = "";
  for (const [number, value] of values.entries()) {
    if (number > 0 && typeof value !== "string" && typeof values[number - 1] !== "string") all += " ";
    all += formatted(value);
  }
  return all;
}

function isEqual(left: Value, right: Value): boolean {
  for (const value of [left, right]) {
    if (Array.isArray(value) || value instanceof Map || isStruct(value)) {
      throw new Refusal(`${described(value)} cannot be compared`);
    }
  }
  const [one, other] = [plain(left), plain(right)];
  if (one === undefined || other === undefined) return one === other;
  if (typeof one !== typeof other)
    throw new Refusal(`${described(left)} and ${described(right)} are of different types`);
  return one === other;
}

/** All nils are equal; a text or a boolean that is left out is its zero value. */
function plain(value: Value): Value {
  if (value === Nil.omittedText) return "";
  if (value === Nil.omittedFalse) return false;
  if (value instanceof Nil) return undefined;
  return value ?? undefined;
}

function compare(left: Value, right: Value): number {
  const [one, other] = [plain(left), plain(right)];
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === "string" && typeof other === "string") return Buffer.compare(Buffer.from(one), Buffer.from(other));
  throw new Refusal(`${described(left)} and ${described(right)} cannot be ordered`);
}

function html(value: string): string {
  const named: Readonly<Record<string, string>> = {
    '"': "&#34;",
    "'": "&#39;",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
  };
  return value.replace(/["'&<>]/g, (character) => named[character] ?? character);
}

function urlQuery(value: string): string {
  return encodeURIComponent(value.toWellFormed())
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

function pad(value: Value, before: Value, after: Value): string {
  const [left, right] = [whole(before, "pad"), whole(after, "pad")];
  if (Math.max(left, right) > MOST_PADDING || Math.min(left, right) < 0) {
    throw new Refusal(`pad takes 0 to ${MOST_PADDING} spaces`);
  }
  const inner = text(value, "pad");
  return inner === "" ? "" : " ".repeat(left) + inner + " ".repeat(right);
}

/** docker cuts bytes; we do not cut a character in the middle. */
function truncate(value: string, length: number): string {
  if (length < 0) throw new Refusal("truncate needs a length of 0 or more");
  let [kept, size] = ["", 0];
  for (const character of value) {
    size += Buffer.byteLength(character);
    if (size > length) return kept;
    kept += character;
  }
  return kept;
}

/** The members of a map in the order in which Go ranges over it. */
export function entriesOf(map: ReadonlyMap<string, Value>): (readonly [string, Value])[] {
  return sortedKeys(map).map((key) => [key, map.get(key)] as const);
}
