import { faultAt, type Place, Source } from "../source.ts";
import { numberOf } from "./numbers.ts";
import type { Attribute, Block, Body, Expression, ObjectItem } from "./syntax.ts";
import { templateExpression } from "./templates.ts";

/** What is nested more deeply is refused. */
const DEEPEST = 200;

/** The name of members that are remarks. HCL JSON syntax specification, "Bodies". */
const COMMENT = "//";

/** Types whose members are blocks, by their names. */
const BLOCKS: ReadonlySet<string> = new Set(["target", "group", "variable", "function"]);

/** Parts of blocks that are blocks themselves. */
const INNER_BLOCKS: ReadonlyMap<string, ReadonlySet<string>> = new Map([["variable", new Set(["validation"])]]);

type Json =
  | { readonly kind: "string"; readonly text: string; readonly place: Place }
  | { readonly kind: "plain"; readonly value: number | boolean | null; readonly place: Place }
  | { readonly kind: "list"; readonly items: readonly Json[]; readonly place: Place }
  | { readonly kind: "object"; readonly members: readonly Member[]; readonly place: Place };

interface Member {
  readonly name: string;
  readonly place: Place;
  readonly value: Json;
}

/**
 * Parses a file in HCL's JSON form, where strings are templates. HCL JSON syntax specification.
 *
 * @throws KbuildError `build.bake`
 */
export function parseJsonBody(source: Source): Body {
  const whole = new JsonParser(source).whole();
  if (whole.kind !== "object") throw faultAt(whole.place, "a bake file is an object");
  const attributes: Attribute[] = [];
  const blocks: Block[] = [];
  for (const { name, place, value } of whole.members) {
    if (name === COMMENT) continue;
    if (BLOCKS.has(name)) blocks.push(...labelled(name, place, value));
    else attributes.push({ name, place, value: expressionOf(value) });
  }
  return { attributes, blocks };
}

/** `{"target": {"web": {…}}}`, where each object may also be a list of such. */
function labelled(type: string, place: Place, value: Json): Block[] {
  if (value.kind === "list") return value.items.flatMap((item) => labelled(type, place, item));
  if (value.kind !== "object") throw faultAt(value.place, `${type} must be an object with a name for each`);
  return value.members.flatMap((member) =>
    bodies(type, member.value).map((body) => ({
      type,
      labels: [{ text: member.name, place: member.place }],
      body,
      place: member.place,
    })),
  );
}

function bodies(type: string, value: Json): Body[] {
  if (value.kind === "list") return value.items.flatMap((item) => bodies(type, item));
  if (value.kind !== "object") throw faultAt(value.place, `a ${type} must be an object`);
  const inner = INNER_BLOCKS.get(type);
  const attributes: Attribute[] = [];
  const blocks: Block[] = [];
  for (const { name, place, value: member } of value.members) {
    if (name === COMMENT) continue;
    if (inner?.has(name)) {
      for (const body of bodies(name, member)) blocks.push({ type: name, labels: [], body, place });
    } else {
      attributes.push({ name, place, value: expressionOf(member) });
    }
  }
  return [{ attributes, blocks }];
}

function expressionOf(json: Json): Expression {
  switch (json.kind) {
    case "string":
      return templateExpression(new Source(json.place.source.file, json.text, json.place), json.place);
    case "plain":
      return { kind: "literal", value: json.value, place: json.place };
    case "list":
      return { kind: "list", items: json.items.map(expressionOf), place: json.place };
    case "object":
      return {
        kind: "object",
        items: json.members.map(
          ({ name, place, value }): ObjectItem => ({
            key: expressionOf({ kind: "string", text: name, place }),
            value: expressionOf(value),
          }),
        ),
        place: json.place,
      };
  }
}

/** JSON with places. RFC 8259; of two members with one name both are kept, for blocks may be repeated so. */
class JsonParser {
  readonly #source: Source;
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(source: Source) {
    this.#source = source;
    this.#text = source.text;
    if (this.#text.startsWith("\ufeff")) this.#at = 1;
  }

  whole(): Json {
    const value = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) throw this.#unexpected("the end");
    return value;
  }

  #place(from: number): Place {
    return { source: this.#source, from, to: Math.max(from + 1, this.#at) };
  }

  #skip(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  #unexpected(wanted: string) {
    const found = this.#text[this.#at];
    return faultAt(
      this.#place(this.#at),
      `${wanted} is missing before ${found === undefined ? "the end" : JSON.stringify(found)}`,
    );
  }

  #value(): Json {
    this.#skip();
    const from = this.#at;
    const first = this.#text[from];
    if (first === '"') return { kind: "string", text: this.#string(), place: this.#place(from) };
    if (first === "{" || first === "[") {
      this.#depth += 1;
      if (this.#depth > DEEPEST) throw faultAt(this.#place(from), "this is nested too deeply");
      const found = first === "{" ? this.#object(from) : this.#list(from);
      this.#depth -= 1;
      return found;
    }
    const [word] =
      /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)\b/.exec(this.#text.slice(from, from + 400)) ??
      [];
    if (word === undefined) throw this.#unexpected("a value");
    this.#at += word.length;
    const place = this.#place(from);
    if (word === "null") return { kind: "plain", value: null, place };
    if (word === "true" || word === "false") return { kind: "plain", value: word === "true", place };
    return { kind: "plain", value: numberOf(word, place), place };
  }

  #string(): string {
    const from = this.#at;
    const pattern = /"(?:[^"\\\n]|\\["\\/bfnrtu])*"/y;
    pattern.lastIndex = from;
    const [literal] = pattern.exec(this.#text) ?? [];
    try {
      if (literal !== undefined) {
        const text: unknown = JSON.parse(literal);
        if (typeof text === "string") {
          this.#at += literal.length;
          return text;
        }
      }
    } catch {
      // Told below.
    }
    throw faultAt(this.#place(from), "this is no string as JSON has them");
  }

  #list(from: number): Json {
    this.#at += 1;
    const items: Json[] = [];
    for (;;) {
      this.#skip();
      if (this.#text[this.#at] === "]" && items.length === 0) break;
      items.push(this.#value());
      if (!this.#isAnother("]")) break;
    }
    this.#at += 1;
    return { kind: "list", items, place: this.#place(from) };
  }

  #object(from: number): Json {
    this.#at += 1;
    const members: Member[] = [];
    for (;;) {
      this.#skip();
      if (this.#text[this.#at] === "}" && members.length === 0) break;
      const begin = this.#at;
      if (this.#text[begin] !== '"') throw this.#unexpected("a name in quotes");
      const name = this.#string();
      const place = this.#place(begin);
      this.#skip();
      if (this.#text[this.#at] !== ":") throw this.#unexpected("a :");
      this.#at += 1;
      members.push({ name, place, value: this.#value() });
      if (!this.#isAnother("}")) break;
    }
    this.#at += 1;
    return { kind: "object", members, place: this.#place(from) };
  }

  /** Whether a comma follows; otherwise it must be the end, which is left standing. */
  #isAnother(closing: string): boolean {
    this.#skip();
    if (this.#text[this.#at] === closing) return false;
    if (this.#text[this.#at] !== ",") throw this.#unexpected(`a , or a ${closing}`);
    this.#at += 1;
    return true;
  }
}
