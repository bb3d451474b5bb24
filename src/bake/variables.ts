import { KbuildError } from "../errors.ts";
import { suggest } from "../parser/suggest.ts";
import type { VariableDefinition } from "./definitions.ts";
import type { Evaluator } from "./evaluate.ts";
import type { Attribute, Block } from "./hcl/syntax.ts";
import { faultAt, type Place } from "./source.ts";
import { csvFields } from "./specs.ts";
import { convert, impliedType, isPlain, type Type, typeOf, typeText } from "./types.ts";
import { fromJson, goBoolean, toBoolean, toNumber, toText, type Value } from "./values.ts";

/** Values for variables from outside of the files. */
export interface Given {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Those of `--var`, which go before the environment's. */
  readonly variables: Readonly<Record<string, string>>;
  /** What is always there, like `BAKE_LOCAL_PLATFORM`. */
  readonly builtins: Readonly<Record<string, string>>;
}

interface Declared {
  readonly block: Block;
  readonly fallback: Attribute | undefined;
  readonly type: Type | undefined;
  readonly description: Attribute | undefined;
}

const PARTS = ["default", "type", "description", "validation"];

/** The variables of the files: computed when they are asked for, each once. Bake file reference, "Variable". */
export class Variables {
  readonly #declared = new Map<string, Declared>();
  readonly #attributes = new Map<string, Attribute>();
  readonly #given: Given;
  readonly #evaluator: () => Evaluator;
  readonly #values = new Map<string, Value>();
  readonly #underWay = new Set<string>();

  constructor(given: Given, evaluator: () => Evaluator) {
    this.#given = given;
    this.#evaluator = evaluator;
  }

  get names(): string[] {
    return [...this.#declared.keys(), ...this.#attributes.keys(), ...Object.keys(this.#given.builtins)];
  }

  /** A `variable` block; the last of several with one name counts. */
  declare(block: Block): void {
    const [label, another] = block.labels;
    if (label === undefined || another !== undefined) throw faultAt(block.place, "a variable has one name");
    for (const { name, place } of [
      ...block.body.attributes,
      ...block.body.blocks.map((inner) => ({ name: inner.type, place: inner.place })),
    ]) {
      if (PARTS.includes(name)) continue;
      const near = suggest(name, PARTS);
      throw faultAt(place, `a variable has no ${name}`, near ? `did you mean ${near}?` : `it has ${PARTS.join(", ")}`);
    }
    const part = (name: string): Attribute | undefined =>
      block.body.attributes.find((attribute) => attribute.name === name);
    const type = part("type");
    const fallback = part("default");
    if (fallback !== undefined) this.#checkBuiltin(label.text, label.place);
    this.#declared.set(label.text, {
      block,
      fallback,
      type: type && typeOf(type.value),
      description: part("description"),
    });
  }

  /** An attribute outside of all blocks: a variable that the environment does not change, unless it is declared too. */
  set(attribute: Attribute): void {
    this.#checkBuiltin(attribute.name, attribute.place);
    this.#attributes.set(attribute.name, attribute);
  }

  #checkBuiltin(name: string, place: Place): void {
    if (Object.hasOwn(this.#given.builtins, name)) throw faultAt(place, `${name} is always there and cannot be set`);
  }

  value(name: string, place: Place): Value | undefined {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    if (Object.hasOwn(this.#given.builtins, name)) return this.#given.builtins[name];
    if (!this.#declared.has(name) && !this.#attributes.has(name)) return undefined;
    if (this.#underWay.has(name)) {
      throw faultAt(place, `the variable ${name} refers to itself: ${[...this.#underWay, name].join(" -> ")}`);
    }
    this.#underWay.add(name);
    try {
      const value = this.#compute(name);
      this.#values.set(name, value);
      return value;
    } finally {
      this.#underWay.delete(name);
    }
  }

  #compute(name: string): Value {
    const declared = this.#declared.get(name);
    const attribute = this.#attributes.get(name) ?? declared?.fallback;
    if (declared === undefined) return attribute === undefined ? null : this.#evaluator().value(attribute.value);
    const { type } = declared;
    const given = this.#fromOutside(name, type);
    if (given !== undefined && type !== undefined) return this.#typed(name, given, type, declared.block.place);
    // Computed even when another value is given: it says what kind of value that has to be.
    const value = attribute === undefined ? undefined : this.#evaluator().value(attribute.value);
    if (given !== undefined) return this.#untyped(name, given, value, declared.block.place);
    if (type === undefined) return value === undefined ? "" : value;
    return value === undefined ? null : convert(value, type, attribute?.value.place);
  }

  /** A value from the command line or the environment: of what has a type, `NAME_JSON` goes before the text. */
  #fromOutside(name: string, type: Type | undefined): { readonly text: string; readonly isJson: boolean } | undefined {
    const text = this.#outside(name);
    const json = this.#declared.has(`${name}_JSON`) || type === undefined ? undefined : this.#outside(`${name}_JSON`);
    if (json !== undefined) return { text: json, isJson: true };
    return text === undefined ? undefined : { text, isJson: false };
  }

  #outside(name: string): string | undefined {
    if (Object.hasOwn(this.#given.variables, name)) return this.#given.variables[name];
    return Object.hasOwn(this.#given.env, name) ? this.#given.env[name] : undefined;
  }

  #typed(name: string, given: { readonly text: string; readonly isJson: boolean }, type: Type, place: Place): Value {
    try {
      if (given.isJson) return convert(jsonOf(name, given.text, place), type, place);
      if (isPlain(type)) return convert(given.text, type, place);
      const isList = type.kind === "list" || type.kind === "set" || type.kind === "tuple";
      if (!isList) throw faultAt(place, `it is of type ${typeText(type)}`, `${name}_JSON gives it as JSON`);
      return convert(given.text === "" ? [] : csvFields(given.text, place), type, place);
    } catch (error) {
      throw this.#outsideFault(name, given.text, place, error);
    }
  }

  #untyped(name: string, { text }: { readonly text: string }, value: Value | undefined, place: Place): Value {
    try {
      if (typeof value === "boolean") {
        const given = goBoolean(text);
        if (given === undefined) throw faultAt(place, "this is neither true nor false");
        return given;
      }
      if (typeof value === "number") return toNumber(text, place);
    } catch (error) {
      throw this.#outsideFault(name, text, place, error);
    }
    if (value === undefined || value === null || typeof value === "string") return text;
    const hint = "a type says how to read it: type = list(string)";
    throw faultAt(place, `the variable ${name} is no string, and so the environment cannot give it`, hint);
  }

  #outsideFault(name: string, text: string, place: Place, error: unknown) {
    if (!(error instanceof KbuildError)) return error;
    const { message, hint } = error;
    return faultAt(place, `the variable ${name} cannot be ${JSON.stringify(text)}: ${message}`, hint, error);
  }

  /** Computes all that is not yet, so that mistakes are found whatever is built, and checks what `validation` says. */
  complete(): VariableDefinition[] {
    for (const [name, { place }] of this.#attributes) this.value(name, place);
    for (const [name, { block }] of this.#declared) this.value(name, block.place);
    for (const [name, { block }] of this.#declared) {
      for (const inner of block.body.blocks) this.#validate(name, inner);
    }
    return [...this.#declared].map(([name, { block, type, description }]) => {
      const value = this.value(name, block.place) ?? null;
      return {
        name,
        type: type === undefined ? impliedType(value) : typeText(type),
        description: description && toText(this.#evaluator().value(description.value), description.place),
        value,
      };
    });
  }

  #validate(name: string, { body, place }: Block): void {
    const part = (wanted: string): Attribute => {
      const found = body.attributes.find((attribute) => attribute.name === wanted);
      if (found !== undefined) return found;
      throw faultAt(place, `a validation needs ${wanted}`);
    };
    const odd = body.attributes.find((attribute) => !["condition", "error_message"].includes(attribute.name));
    if (odd !== undefined)
      throw faultAt(odd.place, `a validation has no ${odd.name}`, "it has condition, error_message");
    const [condition, message] = [part("condition"), part("error_message")];
    if (toBoolean(this.#evaluator().value(condition.value), condition.value.place)) return;
    const text = toText(this.#evaluator().value(message.value), message.value.place);
    throw faultAt(condition.value.place, `the variable ${name} is not valid: ${text}`);
  }

  /** Whether a value that was given for a variable is of use. */
  has(name: string): boolean {
    return this.#declared.has(name) || this.#declared.has(name.replace(/_JSON$/, ""));
  }
}

function jsonOf(name: string, text: string, place: Place): Value {
  try {
    return fromJson(JSON.parse(text));
  } catch {
    throw faultAt(place, `${name}_JSON is no JSON`);
  }
}
