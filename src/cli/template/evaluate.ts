import type { KbuildError } from "../../api.ts";
import { suggest } from "../../api.ts";
import { templateFault } from "./fault.ts";
import { described, entriesOf, Refusal, type TemplateFunction } from "./functions.ts";
import type { Node, Operand, Pipe } from "./parser.ts";
import { isStruct, isTrue, Nil, printed, type Value } from "./values.ts";

/** How long a text may become; a template that doubles a text in a loop must not take all memory. */
const MOST_OUTPUT = 16 * 1024 * 1024;
const MOST_STEPS = 1_000_000;

/** The functions that the evaluator does itself, for they do not look at all their arguments. */
export const LAZY_FUNCTIONS = ["and", "or"] as const;

/**
 * What a template makes of a value.
 *
 * @throws KbuildError `usage.template`
 */
export function evaluate(
  template: string,
  nodes: readonly Node[],
  functions: ReadonlyMap<string, TemplateFunction>,
  value: Value,
): string {
  return new Evaluation(template, functions, value).run(nodes);
}

type Flow = "break" | "continue" | undefined;

class Evaluation {
  readonly #template: string;
  readonly #functions: ReadonlyMap<string, TemplateFunction>;
  /** The innermost last; of two with one name the later counts. */
  readonly #variables: { readonly name: string; value: Value }[];
  readonly #root: Value;
  #output: string[] = [];
  #size = 0;
  #steps = 0;

  constructor(template: string, functions: ReadonlyMap<string, TemplateFunction>, value: Value) {
    this.#template = template;
    this.#functions = functions;
    this.#root = value;
    this.#variables = [{ name: "$", value }];
  }

  run(nodes: readonly Node[]): string {
    this.#walk(nodes, this.#root);
    return this.#output.join("");
  }

  #walk(nodes: readonly Node[], dot: Value): Flow {
    for (const node of nodes) {
      this.#step();
      switch (node.kind) {
        case "text":
          this.#print(node.text);
          break;
        case "print": {
          const value = this.#pipe(node.pipe, dot);
          if (node.pipe.variables.length === 0) this.#print(printed(value));
          break;
        }
        case "break":
        case "continue":
          return node.kind;
        default: {
          const flow = this.#control(node, dot);
          if (flow !== undefined) return flow;
        }
      }
    }
    return undefined;
  }

  #control(node: Extract<Node, { readonly body: readonly Node[] }>, dot: Value): Flow {
    const outside = this.#variables.length;
    try {
      if (node.kind === "range") return this.#range(node, dot);
      const value = this.#pipe(node.pipe, dot);
      if (!isTrue(value)) return this.#walk(node.otherwise, dot);
      return this.#walk(node.body, node.kind === "with" ? value : dot);
    } finally {
      this.#variables.length = outside;
    }
  }

  #range(node: Extract<Node, { readonly body: readonly Node[] }>, dot: Value): Flow {
    const { variables, isAssignment } = node.pipe;
    const members = this.#members(this.#pipe({ ...node.pipe, variables: [] }, dot), node.pipe.at);
    if (members.length === 0) return this.#walk(node.otherwise, dot);
    const outside = this.#variables.length;
    for (const [key, member] of members) {
      this.#step();
      const [first, second] = variables;
      const isPair = second !== undefined;
      if (first !== undefined) this.#set(first, isPair ? key : member, isAssignment);
      if (second !== undefined) this.#set(second, member, isAssignment);
      const flow = this.#walk(node.body, member);
      this.#variables.length = outside;
      if (flow === "break") break;
    }
    return undefined;
  }

  #members(value: Value, at: number): readonly (readonly [Value, Value])[] {
    if (Array.isArray(value)) return value.map((member: Value, number) => [number, member] as const);
    if (value instanceof Map) return entriesOf(value);
    if (value === undefined || value === null || (value instanceof Nil && value.printed !== "")) return [];
    if (typeof value === "number" && Number.isInteger(value)) {
      if (value > MOST_STEPS) throw this.#fault(at, `a loop over ${value} numbers is too long`);
      return Array.from({ length: Math.max(0, value) }, (_, number) => [number, number] as const);
    }
    throw this.#fault(at, `{{range}} needs a list or a map, and this is ${described(value)}`);
  }

  #set(name: string, value: Value, isAssignment: boolean): void {
    const known = isAssignment ? this.#variables.findLast((variable) => variable.name === name) : undefined;
    if (known) known.value = value;
    else this.#variables.push({ name, value });
  }

  #pipe({ commands, variables, isAssignment }: Pipe, dot: Value): Value {
    let value: Value;
    for (const [number, command] of commands.entries()) value = this.#command(command, dot, number > 0 ? [value] : []);
    for (const name of variables) this.#set(name, value, isAssignment);
    return value;
  }

  #command(operands: readonly Operand[], dot: Value, piped: readonly Value[]): Value {
    const [first, ...rest] = operands;
    if (first === undefined) return undefined;
    if (first.kind !== "function") return this.#operand(first, dot);
    return this.#call(first.name, first.at, rest, dot, piped);
  }

  #call(name: string, at: number, operands: readonly Operand[], dot: Value, piped: readonly Value[]): Value {
    this.#step();
    if (name === "and" || name === "or") return this.#lazy(name, at, operands, dot, piped);
    const known = this.#functions.get(name);
    if (known === undefined) throw this.#fault(at, `there is no function ${name}`);
    const values = [...operands.map((operand) => this.#operand(operand, dot)), ...piped];
    const { least, most } = known;
    if (values.length < least || values.length > most) {
      const wanted = least === most ? String(least) : values.length < least ? `at least ${least}` : `at most ${most}`;
      throw this.#fault(
        at,
        `${name} takes ${wanted} ${wanted.endsWith("1") ? "value" : "values"}, not ${values.length}`,
      );
    }
    if (values.reduce((sum: number, one) => sum + lengthOf(one), 0) > MOST_OUTPUT) {
      throw this.#fault(at, `${name} gets too long a text`);
    }
    const result = this.#asked(at, () => known.call(values));
    if (typeof result === "string" && result.length > MOST_OUTPUT) throw this.#fault(at, "it makes too long a text");
    return result;
  }

  /** Looks at its arguments only until the outcome is known. */
  #lazy(name: "and" | "or", at: number, operands: readonly Operand[], dot: Value, piped: readonly Value[]): Value {
    if (operands.length + piped.length === 0) throw this.#fault(at, `${name} takes at least 1 value`);
    let value: Value;
    for (const operand of operands) {
      value = this.#operand(operand, dot);
      if (isTrue(value) === (name === "or")) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }

  #asked(at: number, action: () => Value): Value {
    try {
      return action();
    } catch (error) {
      if (error instanceof Refusal) throw this.#fault(at, error.message);
      throw error;
    }
  }

  #operand(operand: Operand, dot: Value): Value {
    switch (operand.kind) {
      case "dot":
        return this.#fields(dot, operand);
      case "variable":
        return this.#fields(this.#variables.findLast(({ name }) => name === operand.name)?.value, operand);
      case "function":
        return this.#call(operand.name, operand.at, [], dot, []);
      case "literal":
        return operand.value;
      case "pipe":
        return this.#fields(this.#pipe(operand.pipe, dot), operand);
    }
  }

  #fields(value: Value, { fields, at }: Operand): Value {
    let found = value;
    for (const name of fields) found = this.#field(found, name, at);
    return found;
  }

  #field(value: Value, name: string, at: number): Value {
    if (value instanceof Map) return value.get(name);
    if (value instanceof Nil && value.printed === "map[]") return undefined;
    if (!isStruct(value)) throw this.#fault(at, `${described(value)} has no field ${name}`);
    if (Object.hasOwn(value, name)) return value[name];
    const names = Object.keys(value);
    const near = suggest(name, names);
    throw this.#fault(
      at,
      `there is no field ${name}`,
      near ? `did you mean .${near}?` : `there is ${names.join(", ")}`,
    );
  }

  #print(text: string): void {
    this.#size += text.length;
    if (this.#size > MOST_OUTPUT) throw this.#fault(0, "it prints more than 16 MiB");
    this.#output.push(text);
  }

  #step(): void {
    this.#steps += 1;
    if (this.#steps > MOST_STEPS) throw this.#fault(0, "it takes too many steps");
  }

  #fault(at: number, reason: string, hint?: string): KbuildError {
    return templateFault(this.#template, at, reason, hint);
  }
}

/** How long the texts of a value are. */
function lengthOf(value: Value): number {
  if (typeof value === "string") return value.length;
  return Array.isArray(value) ? value.reduce((sum: number, member: Value) => sum + lengthOf(member), 0) : 0;
}
