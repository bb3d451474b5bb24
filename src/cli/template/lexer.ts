import { templateFault } from "./fault.ts";

/** A piece of a template. `at` counts characters from 0; `glued` tells that no space stands before it. */
export interface Token {
  readonly kind:
    | "text"
    | "open"
    | "close"
    | "field"
    | "dot"
    | "variable"
    | "word"
    | "string"
    | "number"
    | "pipe"
    | "comma"
    | "declare"
    | "assign"
    | "left"
    | "right";
  /** The text itself; of a string its value, of a field or a variable its name. */
  readonly text: string;
  readonly at: number;
  readonly glued: boolean;
}

/** A template is typed by a person; what is longer is a mistake. */
const MOST_CHARACTERS = 64 * 1024;
const MARKS: Readonly<Record<string, Token["kind"]>> = {
  "|": "pipe",
  ",": "comma",
  ":=": "declare",
  "=": "assign",
  "(": "left",
  ")": "right",
};
const SPACE = /[ \t\r\n]+/y;
const NAME = /[\p{L}_][\p{L}\p{Nd}_]*/uy;
const NUMBER = /[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|(?:\d[\d_]*)?\.?\d+(?:[eE][+-]?\d+)?|\d+\.)/y;

/**
 * The tokens of a template, as text/template has them: text, and between `{{` and `}}` the parts of an action. `{{- `
 * and ` -}}` take the white space around them away; comments are gone.
 *
 * @throws KbuildError `usage.template`
 */
export function tokensOf(template: string): Token[] {
  if (template.length > MOST_CHARACTERS) throw templateFault(template, MOST_CHARACTERS, "it is longer than 64 KiB");
  const tokens: Token[] = [];
  let at = 0;
  let trims = false;
  for (;;) {
    const open = template.indexOf("{{", at);
    let text = template.slice(at, open < 0 ? template.length : open);
    if (trims) text = text.replace(/^[ \t\r\n]+/, "");
    const isTrimming = open >= 0 && /^-[ \t\r\n]/.test(template.slice(open + 2, open + 4));
    if (isTrimming) text = text.replace(/[ \t\r\n]+$/, "");
    if (text !== "") tokens.push({ kind: "text", text, at, glued: false });
    if (open < 0) return tokens;
    const inside = open + (isTrimming ? 4 : 2);
    const comment = commentEnd(template, inside, open);
    const action = comment ?? actionTokens(template, open, inside, tokens);
    at = action.end;
    trims = action.trims;
  }
}

interface ActionEnd {
  readonly end: number;
  /** Whether it takes away the white space after it. */
  readonly trims: boolean;
}

function commentEnd(template: string, inside: number, open: number): ActionEnd | undefined {
  const start = inside + (/^[ \t\r\n]*/.exec(template.slice(inside, inside + 100))?.[0].length ?? 0);
  if (!template.startsWith("/*", start)) return undefined;
  const end = template.indexOf("*/", start + 2);
  if (end < 0) throw templateFault(template, open, "this comment is not closed");
  const close = closeAt(template, end + 2);
  if (close === undefined) throw templateFault(template, end, "}} must follow the end of a comment");
  return close;
}

/** The end of an action, if it is here. */
function closeAt(template: string, at: number): ActionEnd | undefined {
  if (template.startsWith("}}", at)) return { end: at + 2, trims: false };
  const found = /^[ \t\r\n]+-\}\}/.exec(template.slice(at, at + 100));
  return found ? { end: at + found[0].length, trims: true } : undefined;
}

/** Adds the tokens of the action that begins at `open`. */
function actionTokens(template: string, open: number, inside: number, tokens: Token[]): ActionEnd {
  tokens.push({ kind: "open", text: "{{", at: open, glued: false });
  let at = inside;
  for (;;) {
    const space = match(SPACE, template, at);
    // ` -}}` needs its space.
    const close = closeAt(template, at) ?? closeAt(template, at + space.length);
    if (close) {
      tokens.push({ kind: "close", text: "}}", at, glued: false });
      return close;
    }
    at += space.length;
    if (at >= template.length || template.startsWith("{{", at)) {
      throw templateFault(template, open, "this action is not closed", "an action ends with }}");
    }
    const { end, ...token } = tokenAt(template, at, open);
    tokens.push({ ...token, at, glued: space === "" });
    at = end;
  }
}

function tokenAt(template: string, at: number, open: number): Pick<Token, "kind" | "text"> & { readonly end: number } {
  const first = template[at] ?? "";
  const mark = template.startsWith(":=", at) ? ":=" : first;
  const kind = MARKS[mark];
  if (kind !== undefined) return { kind, text: mark, end: at + mark.length };
  if (first === '"' || first === "`" || first === "'") return quoted(template, at, open);
  if (first === "$") {
    const name = match(NAME, template, at + 1);
    return { kind: "variable", text: `$${name}`, end: at + 1 + name.length };
  }
  if (first === ".") {
    const name = match(NAME, template, at + 1);
    if (name !== "") return { kind: "field", text: name, end: at + 1 + name.length };
    if (!/[0-9]/.test(template[at + 1] ?? "")) return { kind: "dot", text: ".", end: at + 1 };
  }
  const number = match(NUMBER, template, at);
  if (number !== "") {
    const after = match(NAME, template, at + number.length);
    if (after !== "") throw templateFault(template, at, `${JSON.stringify(number + after)} is not a number`);
    return { kind: "number", text: number, end: at + number.length };
  }
  const word = match(NAME, template, at);
  if (word === "") throw templateFault(template, at, `${JSON.stringify(first)} is not expected in an action`);
  return { kind: "word", text: word, end: at + word.length };
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** A string or a character, whose value is its number, as Go writes them. */
function quoted(template: string, at: number, open: number): Pick<Token, "kind" | "text"> & { readonly end: number } {
  const quote = template[at] ?? "";
  if (quote === "`") {
    const end = template.indexOf("`", at + 1);
    if (end < 0) throw templateFault(template, at, "this string is not closed");
    return { kind: "string", text: template.slice(at + 1, end).replaceAll("\r", ""), end: end + 1 };
  }
  let value = "";
  let next = at + 1;
  for (;;) {
    const character = template[next];
    if (character === undefined || character === "\n") {
      const hint = open === at ? undefined : "a shell takes quotes away: write the whole template in single quotes";
      throw templateFault(template, at, "this string is not closed", hint);
    }
    next += 1;
    if (character === quote) break;
    if (character !== "\\") {
      value += character;
      continue;
    }
    const sequence = /^(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[abfnrtv\\'"])/.exec(
      template.slice(next, next + 9),
    )?.[0];
    const code = sequence === undefined ? Number.NaN : codeOf(sequence);
    if (sequence === undefined || code > 0x10ffff)
      throw templateFault(template, next - 1, "this escape is not one of Go's");
    value += ESCAPES[sequence] ?? String.fromCodePoint(code);
    next += sequence.length;
  }
  if (quote === '"') return { kind: "string", text: value, end: next };
  const points = [...value];
  if (points.length !== 1)
    throw templateFault(template, at, "single quotes hold one character; strings have double ones");
  return { kind: "number", text: String(value.codePointAt(0)), end: next };
}

function codeOf(sequence: string): number {
  return /^[xuU]/.test(sequence) ? Number.parseInt(sequence.slice(1), 16) : Number.parseInt(sequence, 8);
}
