import { suggest } from "../../api.ts";
import { templateFault } from "./fault.ts";
import { type Token, tokensOf } from "./lexer.ts";
import type { Value } from "./values.ts";

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipe: Pipe }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: "break" | "continue" };

/** Commands with `|` between them; the value of each is the last argument of the next. */
export interface Pipe {
  /** Variables that are declared or set: one, or for `range` up to two. */
  readonly variables: readonly string[];
  /** Whether they are set (`=`), not declared (`:=`). */
  readonly isAssignment: boolean;
  readonly commands: readonly (readonly Operand[])[];
  readonly at: number;
}

export type Operand = { readonly at: number; readonly fields: readonly string[] } & (
  | { readonly kind: "dot" }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "literal"; readonly value: Value }
  | { readonly kind: "pipe"; readonly pipe: Pipe }
);

/** Blocks and parentheses within each other; Go has no bound, our stack has. */
const MOST_DEPTH = 100;

/**
 * The tree of a template.
 *
 * @param functions the names of all functions
 * @throws KbuildError `usage.template`
 */
export function parseTemplate(template: string, functions: ReadonlySet<string>): readonly Node[] {
  return new Parser(template, functions).whole();
}

class Parser {
  readonly #template: string;
  readonly #functions: ReadonlySet<string>;
  readonly #tokens: readonly Token[];
  /** Those that can be seen here, the innermost last. */
  readonly #variables: string[] = ["$"];
  #next = 0;
  #depth = 0;
  #loops = 0;

  constructor(template: string, functions: ReadonlySet<string>) {
    this.#template = template;
    this.#functions = functions;
    this.#tokens = tokensOf(template);
  }

  whole(): readonly Node[] {
    const { nodes, end } = this.#block();
    if (end !== undefined) throw this.#fault(end, `{{${end.text}}} has no beginning`);
    return nodes;
  }

  /** Up to `{{end}}` or `{{else`, whose word is consumed and given, or to the end. */
  #block(): { readonly nodes: Node[]; readonly end: Token | undefined } {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#tokens[this.#next];
      if (token === undefined) return { nodes, end: undefined };
      this.#next += 1;
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text });
        continue;
      }
      const word = this.#tokens[this.#next];
      if (word?.kind === "word") {
        if (word.text === "end" || word.text === "else") {
          this.#next += 1;
          return { nodes, end: word };
        }
        const statement = this.#statement(word);
        if (statement) {
          nodes.push(statement);
          continue;
        }
      }
      nodes.push({ kind: "print", pipe: this.#pipe("close", 1) });
    }
  }

  #statement(word: Token): Node | undefined {
    switch (word.text) {
      case "if":
      case "with":
      case "range":
        this.#next += 1;
        return this.#control(word, word.text);
      case "break":
      case "continue":
        this.#next += 1;
        if (this.#loops === 0) throw this.#fault(word, `{{${word.text}}} is for within {{range}}`);
        this.#expect("close");
        return { kind: word.text };
      case "define":
      case "template":
      case "block":
        throw this.#fault(word, `{{${word.text}}} is not supported`);
      default:
        return undefined;
    }
  }

  #control(word: Token, kind: "if" | "with" | "range"): Node {
    this.#deeper(word);
    const outside = this.#variables.length;
    const pipe = this.#pipe("close", kind === "range" ? 2 : 1);
    if (kind === "range") this.#loops += 1;
    const inner = this.#variables.length;
    const { nodes: body, end } = this.#block();
    if (kind === "range") this.#loops -= 1;
    this.#variables.length = inner;
    const otherwise = end === undefined ? undefined : this.#rest(end, kind);
    if (otherwise === undefined) throw this.#fault(word, `{{${kind}}} has no {{end}}`);
    this.#variables.length = outside;
    this.#depth -= 1;
    return { kind, pipe, body, otherwise };
  }

  /** What follows the body: nothing, or `{{else}}` up to its `{{end}}`. */
  #rest(end: Token, kind: "if" | "with" | "range"): readonly Node[] | undefined {
    if (end.text === "end") {
      this.#expect("close");
      return [];
    }
    const after = this.#tokens[this.#next];
    if (after?.kind === "word" && after.text === kind && kind !== "range") {
      this.#next += 1;
      // The inner one takes the {{end}} of both.
      return [this.#control(after, kind)];
    }
    this.#expect("close");
    const inner = this.#variables.length;
    const { nodes, end: last } = this.#block();
    this.#variables.length = inner;
    if (last === undefined) return undefined;
    if (last.text === "else") throw this.#fault(last, "there is an {{else}} already");
    this.#expect("close");
    return nodes;
  }

  /** A pipeline up to `}}` or `)`, which is consumed. */
  #pipe(end: "close" | "right", mostVariables: number): Pipe {
    const at = this.#tokens[this.#next]?.at ?? this.#template.length;
    const { variables, isAssignment } = end === "close" ? this.#declaration(mostVariables) : NO_VARIABLES;
    const commands: Operand[][] = [];
    for (;;) {
      commands.push(this.#command());
      const token = this.#take();
      if (token.kind === end) break;
      if (token.kind === "pipe") continue;
      if (end === "right" && token.kind === "close") throw this.#fault(token, "a ) is missing");
      throw this.#fault(token, `${JSON.stringify(token.text)} is not expected here`);
    }
    for (const [index, command] of commands.entries()) {
      const [first] = command;
      if (command.length === 1 && first?.kind === "literal" && first.value === null) {
        throw templateFault(this.#template, first.at, "nil is a value to compare with, and nothing by itself");
      }
      if (index > 0 && first?.kind !== "function" && first !== undefined) {
        throw templateFault(this.#template, first.at, "what follows a | must be a function");
      }
    }
    if (!isAssignment) this.#variables.push(...variables);
    return { variables, isAssignment, commands, at };
  }

  /** `$x :=`, `$i, $x :=`, `$x =`, if one of them is here. */
  #declaration(most: number): Pick<Pipe, "variables" | "isAssignment"> {
    const [first, second, third, fourth] = this.#tokens.slice(this.#next, this.#next + 4);
    if (first?.kind !== "variable") return NO_VARIABLES;
    const isPair = second?.kind === "comma" && third?.kind === "variable";
    const sign = isPair ? fourth : second;
    if (sign?.kind !== "declare" && sign?.kind !== "assign") return NO_VARIABLES;
    const found = isPair && third ? [first, third] : [first];
    if (found.length > most) throw this.#fault(first, "only {{range}} gives two variables");
    const isAssignment = sign.kind === "assign";
    if (isAssignment) for (const token of found) this.#known(token);
    this.#next += found.length * 2;
    return { variables: found.map(({ text }) => text), isAssignment };
  }

  #command(): Operand[] {
    const operands: Operand[] = [];
    for (;;) {
      const token = this.#tokens[this.#next];
      if (token === undefined) throw templateFault(this.#template, this.#template.length, "an action is not closed");
      if (token.kind === "close" || token.kind === "right" || token.kind === "pipe") {
        if (operands.length === 0) throw this.#fault(token, "a value is missing here");
        return operands;
      }
      const before = operands.at(-1);
      if (before && token.glued && token.kind !== "left") {
        throw this.#fault(token, `${JSON.stringify(token.text)} is not expected here`);
      }
      operands.push(this.#operand());
      const [first] = operands;
      if (operands.length === 2 && first && first.kind !== "function") {
        throw templateFault(this.#template, first.at, "only a function takes arguments");
      }
    }
  }

  #operand(): Operand {
    const token = this.#take();
    const { at } = token;
    switch (token.kind) {
      case "dot":
        return { kind: "dot", fields: [], at };
      case "field":
        return { kind: "dot", fields: [token.text, ...this.#fields()], at };
      case "variable":
        return { kind: "variable", name: this.#known(token), fields: this.#fields(), at };
      case "string":
        return { kind: "literal", value: token.text, fields: [], at };
      case "number":
        return { kind: "literal", value: this.#number(token), fields: [], at };
      case "word":
        if (token.text === "true" || token.text === "false") {
          return { kind: "literal", value: token.text === "true", fields: [], at };
        }
        if (token.text === "nil") return { kind: "literal", value: null, fields: [], at };
        if (!this.#functions.has(token.text)) throw this.#unknownFunction(token);
        return { kind: "function", name: token.text, fields: [], at };
      case "left": {
        this.#deeper(token);
        const pipe = this.#pipe("right", 0);
        this.#depth -= 1;
        return { kind: "pipe", pipe, fields: this.#fields(), at };
      }
      default:
        throw this.#fault(token, `${JSON.stringify(token.text)} is not expected here`);
    }
  }

  /** `.A.B` that stand at the end of what was read. */
  #fields(): string[] {
    const names: string[] = [];
    for (;;) {
      const token = this.#tokens[this.#next];
      if (token?.kind !== "field" || !token.glued) return names;
      names.push(token.text);
      this.#next += 1;
    }
  }

  #number(token: Token): number {
    const text = token.text.replaceAll("_", "");
    const octal = /^([+-]?)0[oO]?([0-7]+)$/.exec(text);
    const hex = /^([+-]?)(0[xXbB].*)$/.exec(text);
    const sign = text.startsWith("-") ? -1 : 1;
    const value = octal ? sign * Number.parseInt(octal[2] ?? "", 8) : hex ? sign * Number(hex[2]) : Number(text);
    const isWhole = !/[.eE]/.test(text) || hex !== null;
    if (Number.isNaN(value) || !Number.isFinite(value) || (isWhole && !Number.isSafeInteger(value))) {
      throw this.#fault(token, `${token.text} is not a number that can be had here`);
    }
    return value;
  }

  #known(token: Token): string {
    if (!this.#variables.includes(token.text)) throw this.#fault(token, `the variable ${token.text} is not declared`);
    return token.text;
  }

  #unknownFunction(token: Token): Error {
    const near = suggest(token.text, [...this.#functions]);
    const hint = near ? `did you mean ${near}?` : `a field begins with a dot: .${token.text}`;
    return templateFault(this.#template, token.at, `there is no function ${token.text}`, hint);
  }

  #deeper(token: Token): void {
    this.#depth += 1;
    if (this.#depth > MOST_DEPTH) throw this.#fault(token, `it is nested more than ${MOST_DEPTH} deep`);
  }

  #take(): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw templateFault(this.#template, this.#template.length, "an action is not closed");
    this.#next += 1;
    return token;
  }

  #expect(kind: Token["kind"]): void {
    const token = this.#take();
    if (token.kind !== kind) throw this.#fault(token, `${JSON.stringify(token.text)} is not expected here`);
  }

  #fault(token: Token, reason: string): Error {
    return templateFault(this.#template, token.at, reason);
  }
}

const NO_VARIABLES = { variables: [], isAssignment: false } as const;
