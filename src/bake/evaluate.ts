import { KbuildError } from "../errors.ts";
import { suggest } from "../parser/suggest.ts";
import { type BakeFunction, type CallSite, FUNCTIONS, REFUSED } from "./functions/table.ts";
import { type Expression, type ForExpression, SPLAT, type TemplateNode } from "./hcl/syntax.ts";
import { binary } from "./operators.ts";
import { faultAt, type Place } from "./source.ts";
import { convert, typeOf } from "./types.ts";
import { isList, isMap, kindOf, mapOf, numberText, toBoolean, toList, toNumber, toText, type Value } from "./values.ts";

/** What expressions can refer to. */
export interface Environment {
  /** `undefined`: there is no such variable. */
  variable(name: string, place: Place): Value | undefined;
  /** A function of the file. */
  ownFunction(name: string): OwnFunction | undefined;
  /** What blocks of this type are asked for by `type.name.attribute`; `undefined`: blocks of that type cannot be. */
  block(type: string, name: string, attribute: string | undefined, place: Place): Value | undefined;
  /** What there is, for hints. */
  readonly names: Iterable<string>;
  readonly home: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface OwnFunction {
  readonly parameters: readonly string[];
  readonly rest: string | undefined;
  readonly result: Expression;
}

export type Locals = ReadonlyMap<string, Value>;
export const NO_LOCALS: Locals = new Map();

/** A file that comes from elsewhere must not take all time or memory. */
const MOST_STEPS = 2_000_000;
const MOST_TEXT = 16 * 1024 * 1024;
const DEEPEST_CALLS = 50;
/** Of what a function gets, so much is as much work as a step. */
const SIZE_OF_STEP = 16;

/** Computes expressions. */
export class Evaluator {
  readonly #environment: Environment;
  #steps = 0;
  #calls = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** @throws KbuildError `build.bake` */
  value(expression: Expression, locals: Locals = NO_LOCALS): Value {
    this.#step(expression.place);
    switch (expression.kind) {
      case "literal":
        return expression.value;
      case "template":
        return this.#template(expression.parts, locals, expression.place);
      case "variable":
        return this.#variable(expression.name, expression.place, locals);
      case "attribute":
      case "index":
        return this.#member(expression, locals);
      case "splat":
        return this.#splat(expression, locals);
      case "list":
        return expression.items.map((item) => this.value(item, locals));
      case "object":
        return mapOf(
          expression.items.map(({ key, value }) => [
            toText(this.value(key, locals), key.place),
            this.value(value, locals),
          ]),
        );
      case "for":
        return this.#for(expression, locals);
      case "conditional": {
        const { condition, yes, no } = expression;
        return this.value(toBoolean(this.value(condition, locals), condition.place) ? yes : no, locals);
      }
      case "binary":
        return binary(expression, (operand) => this.value(operand, locals));
      case "unary": {
        const { operator, operand, place } = expression;
        const value = this.value(operand, locals);
        return operator === "!" ? !toBoolean(value, place) : -toNumber(value, place);
      }
      case "call":
        return this.#call(expression, locals);
    }
  }

  #step(place: Place): void {
    this.#steps += 1;
    if (this.#steps > MOST_STEPS) throw faultAt(place, "this takes too many steps to compute");
  }

  #variable(name: string, place: Place, locals: Locals): Value {
    const local = locals.get(name);
    if (local !== undefined) return local;
    const value = this.#environment.variable(name, place);
    if (value !== undefined) return value;
    const near = suggest(name, [...this.#environment.names]);
    const hint = near ? `did you mean ${near}?` : `a block declares it: variable "${name}" { default = "…" }`;
    throw faultAt(place, `there is no variable ${name}`, hint);
  }

  #member(expression: Extract<Expression, { readonly kind: "attribute" | "index" }>, locals: Locals): Value {
    const block = this.#blockMember(expression, locals);
    if (block !== undefined) return block;
    const { of, place } = expression;
    const value = this.value(of, locals);
    const key = expression.kind === "attribute" ? expression.name : this.value(expression.key, locals);
    if (isMap(value)) {
      const name = toText(key, place);
      const member = value.get(name);
      if (member !== undefined) return member;
      const near = suggest(name, [...value.keys()]);
      throw faultAt(place, `there is no ${name} in this object`, near && `did you mean ${near}?`);
    }
    if (isList(value) && expression.kind === "index") {
      const number = toNumber(key, place);
      const member = value[number];
      if (member !== undefined) return member;
      throw faultAt(place, `there is no member ${numberText(number)} in a list of ${value.length}`);
    }
    throw faultAt(place, `${kindOf(value)} has no ${isList(value) ? "names, only numbers" : "members"}`);
  }

  /** `target.web` and `target.web.args`, unless a variable has the name. */
  #blockMember(expression: Expression, locals: Locals): Value | undefined {
    if (expression.kind !== "attribute") return undefined;
    const { of, name, place } = expression;
    if (of.kind === "variable" && !locals.has(of.name)) {
      return this.#environment.block(of.name, name, undefined, place);
    }
    if (of.kind === "attribute" && of.of.kind === "variable" && !locals.has(of.of.name)) {
      return this.#environment.block(of.of.name, of.name, name, place);
    }
    return undefined;
  }

  #splat({ of, rest }: Extract<Expression, { readonly kind: "splat" }>, locals: Locals): Value {
    const value = this.value(of, locals);
    const members = value === null ? [] : isList(value) ? value : [value];
    return members.map((member) => this.value(rest, new Map([...locals, [SPLAT, member]])));
  }

  #for(expression: ForExpression, locals: Locals): Value {
    const { keyName, valueName, collection, key, value, condition, groups } = expression;
    const list: Value[] = [];
    const entries = new Map<string, Value>();
    for (const [name, member] of membersOf(this.value(collection, locals), collection.place)) {
      const inside = new Map([...locals, [valueName, member] as const]);
      if (keyName !== undefined) inside.set(keyName, name);
      if (condition !== undefined && !toBoolean(this.value(condition, inside), condition.place)) continue;
      const result = this.value(value, inside);
      if (key === undefined) {
        list.push(result);
        continue;
      }
      const text = toText(this.value(key, inside), key.place);
      const before = entries.get(text);
      if (groups) entries.set(text, [...(before === undefined ? [] : toList(before, key.place)), result]);
      else if (before === undefined) entries.set(text, result);
      else throw faultAt(key.place, `two members have the key ${text}`, "=> value... gathers them in a list");
    }
    return key === undefined ? list : mapOf(entries);
  }

  #template(parts: readonly TemplateNode[], locals: Locals, place: Place): Value {
    const [first, second] = parts;
    // "${x}" is x itself, whatever it is.
    if (first?.kind === "value" && second === undefined) return this.value(first.value, locals);
    return this.#text(parts, locals, place);
  }

  #text(parts: readonly TemplateNode[], locals: Locals, place: Place): string {
    const texts: string[] = [];
    let size = 0;
    for (const part of parts) {
      this.#step(place);
      const text = this.#part(part, locals, place);
      size += text.length;
      if (size > MOST_TEXT) throw faultAt(place, "this makes a text of more than 16 MiB");
      texts.push(text);
    }
    return texts.join("");
  }

  #part(part: TemplateNode, locals: Locals, place: Place): string {
    switch (part.kind) {
      case "text":
        return part.text;
      case "value":
        return toText(this.value(part.value, locals), part.value.place);
      case "if": {
        const isTrue = toBoolean(this.value(part.condition, locals), part.condition.place);
        return this.#text(isTrue ? part.yes : part.no, locals, place);
      }
      case "for": {
        const { keyName, valueName, collection, body } = part;
        const turns = membersOf(this.value(collection, locals), collection.place).map(([name, member]) => {
          const inside = new Map([...locals, [valueName, member] as const]);
          if (keyName !== undefined) inside.set(keyName, name);
          return this.#text(body, inside, place);
        });
        return turns.join("");
      }
    }
  }

  #call(call: Extract<Expression, { readonly kind: "call" }>, locals: Locals): Value {
    const special = this.#special(call, locals);
    if (special !== undefined) return special;
    const values = call.operands.map((operand) => this.value(operand, locals));
    const last = call.operands.at(-1);
    if (call.expands && last !== undefined) values.push(...toList(values.pop() ?? null, last.place));
    const own = this.#environment.ownFunction(call.name);
    if (own !== undefined) return this.#ownCall(own, call, values);
    const known = FUNCTIONS.get(call.name);
    if (known === undefined) throw this.#unknownFunction(call.name, call.nameAt);
    checkCount(call.name, known, values.length, call.place);
    const site: CallSite = {
      place: call.place,
      operand: (number) => call.operands[Math.min(number, call.operands.length - 1)]?.place ?? call.place,
      home: this.#environment.home,
      now: this.#environment.now,
    };
    const size = values.reduce((sum: number, value) => sum + sizeOf(value), 0);
    if (size > MOST_TEXT) throw faultAt(call.place, `${call.name} gets more than can be computed with`);
    this.#steps += Math.ceil(size / SIZE_OF_STEP);
    const result = known.call(values, site);
    if (typeof result === "string" && result.length > MOST_TEXT) {
      throw faultAt(call.place, `${call.name} makes a text of more than 16 MiB`);
    }
    return result;
  }

  /** The functions that do not look at all their operands. */
  #special(call: Extract<Expression, { readonly kind: "call" }>, locals: Locals): Value | undefined {
    const [first, second, ...others] = call.operands;
    switch (call.name) {
      case "try": {
        let failure: KbuildError | undefined;
        for (const operand of call.operands) {
          const tried = this.#tried(operand, locals);
          if (!(tried instanceof KbuildError)) return tried;
          failure = tried;
        }
        throw failure ?? faultAt(call.place, "try takes at least 1 value");
      }
      case "can":
        if (first === undefined || second !== undefined) throw faultAt(call.place, "can takes 1 value");
        return !(this.#tried(first, locals) instanceof KbuildError);
      case "convert":
        if (first === undefined || second === undefined || others.length > 0) {
          throw faultAt(call.place, "convert takes a value and a type", "convert(x, list(string))");
        }
        return convert(this.value(first, locals), typeOf(second), first.place);
    }
    return undefined;
  }

  #tried(operand: Expression, locals: Locals): Value | KbuildError {
    try {
      return this.value(operand, locals);
    } catch (error) {
      if (error instanceof KbuildError && error.code === "build.bake") return error;
      throw error;
    }
  }

  #ownCall(own: OwnFunction, call: Extract<Expression, { readonly kind: "call" }>, values: readonly Value[]): Value {
    const count = own.parameters.length;
    checkCount(call.name, { least: count, most: own.rest === undefined ? count : Infinity }, values.length, call.place);
    const locals = new Map<string, Value>(own.parameters.map((name, number) => [name, values[number] ?? null]));
    if (own.rest !== undefined) locals.set(own.rest, values.slice(count));
    this.#calls += 1;
    if (this.#calls > DEEPEST_CALLS) throw faultAt(call.place, `the function ${call.name} calls itself`);
    try {
      return this.value(own.result, locals);
    } finally {
      this.#calls -= 1;
    }
  }

  #unknownFunction(name: string, place: Place): KbuildError {
    const reason = REFUSED.get(name);
    if (reason !== undefined) return faultAt(place, `the function ${name} is not supported: ${reason}`);
    const near = suggest(name, [...FUNCTIONS.keys(), "try", "can", "convert"]);
    return faultAt(place, `there is no function ${name}`, near && `did you mean ${near}?`);
  }
}

function membersOf(value: Value, place: Place): readonly (readonly [Value, Value])[] {
  if (isList(value)) return value.map((member, number) => [number, member] as const);
  if (isMap(value)) return [...value];
  throw faultAt(place, `a for needs a list or an object, and this is ${kindOf(value)}`);
}

function checkCount(
  name: string,
  { least, most }: Pick<BakeFunction, "least" | "most">,
  count: number,
  place: Place,
): void {
  if (count >= least && count <= most) return;
  const wanted = least === most ? String(least) : count < least ? `at least ${least}` : `at most ${most}`;
  throw faultAt(place, `${name} takes ${wanted} ${wanted.endsWith("1") ? "value" : "values"}, not ${count}`);
}

/** About how much a value holds. */
function sizeOf(value: Value): number {
  if (typeof value === "string") return value.length;
  if (isList(value)) return value.reduce((sum: number, member) => sum + sizeOf(member) + 1, 0);
  if (isMap(value)) return [...value].reduce((sum, [key, member]) => sum + key.length + sizeOf(member), 0);
  return 1;
}
