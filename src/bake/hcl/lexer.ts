import { faultAt, type Place, type Source } from "../source.ts";

/** HCL native syntax specification, "Lexical Elements". Comments and blanks are left out; ends of lines count. */
export type Token =
  | { readonly kind: "identifier" | "number" | "symbol"; readonly text: string; readonly place: Place }
  | { readonly kind: "newline" | "end"; readonly text: ""; readonly place: Place }
  /** A string or a heredoc: `isQuoted` tells which. What all lines are indented by is taken off if it `unindents`. */
  | {
      readonly kind: "template";
      readonly text: "";
      readonly parts: readonly TemplatePart[];
      readonly isQuoted: boolean;
      readonly unindents: boolean;
      readonly place: Place;
    };

/** A piece of a template: text as it is meant, of one line, `${…}`, or `%{…}`. */
export type TemplatePart =
  | { readonly kind: "text"; readonly text: string; readonly place: Place }
  | {
      readonly kind: "value" | "directive";
      readonly tokens: readonly Token[];
      /** Whether `~` takes away the blanks before it, and after it. */
      readonly trims: { readonly before: boolean; readonly after: boolean };
      readonly place: Place;
    };

/** Longer ones first. */
const SYMBOLS = ["...", "==", "!=", "<=", ">=", "&&", "||", "=>", ..."{}[]().,:?=<>+-*/%!".split("")] as const;

const IDENTIFIER = /[\p{ID_Start}_][\p{ID_Continue}-]*/uy;
const NUMBER = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const BLANKS = /[ \t\r]+/y;
const COMMENT = /#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const HEREDOC = /<<(-?)([\p{ID_Start}_][\p{ID_Continue}-]*)[ \t]*\r?\n/uy;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };
/** Templates in templates may be so deep. */
const DEEPEST = 100;

/**
 * The tokens of a file in HCL's native syntax, the last of them the end.
 *
 * @throws KbuildError `build.bake`
 */
export function lex(source: Source): Token[] {
  return new Lexer(source).tokens();
}

/**
 * The parts of a text that is a template as a whole, as strings in HCL's JSON form are.
 *
 * @throws KbuildError `build.bake`
 */
export function lexTemplate(source: Source): TemplatePart[] {
  return new Lexer(source).wholeTemplate();
}

class Lexer {
  readonly #source: Source;
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(source: Source) {
    this.#source = source;
    this.#text = source.text;
    if (this.#text.startsWith("\ufeff")) this.#at = 1;
  }

  tokens(): Token[] {
    const found = this.#until(undefined);
    found.push({ kind: "end", text: "", place: this.#place(this.#at) });
    return found;
  }

  wholeTemplate(): TemplatePart[] {
    return this.#template("end", 0);
  }

  #place(from: number, to = this.#at): Place {
    return { source: this.#source, from, to };
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text) ?? undefined;
  }

  /** Tokens until the closing brace of a part of a template, which is left standing, or until the end of the file. */
  #until(open: number | undefined): Token[] {
    const found: Token[] = [];
    let braces = 0;
    for (;;) {
      this.#skipBlanks();
      if (this.#at >= this.#text.length) {
        if (open === undefined) return found;
        throw faultAt(this.#place(open, open + 2), "this is not closed by a }");
      }
      const isMark = this.#text.startsWith("~}", this.#at) || this.#text[this.#at] === "}";
      if (open !== undefined && braces === 0 && isMark) return found;
      const token = this.#token();
      if (token.kind === "symbol" && token.text === "{") braces += 1;
      if (token.kind === "symbol" && token.text === "}") braces -= 1;
      found.push(token);
    }
  }

  #skipBlanks(): void {
    for (;;) {
      const blank = this.#match(BLANKS) ?? this.#match(COMMENT);
      if (blank === undefined) break;
      this.#at += blank[0].length;
    }
    if (this.#text.startsWith("/*", this.#at)) {
      throw faultAt(this.#place(this.#at, this.#at + 2), "this comment is not closed", "*/ closes it");
    }
  }

  #token(): Token {
    const from = this.#at;
    const text = this.#text;
    if (text[from] === "\n") {
      this.#at += 1;
      return { kind: "newline", text: "", place: this.#place(from) };
    }
    if (text[from] === '"') {
      this.#at += 1;
      const parts = this.#template("quote", from);
      return { kind: "template", text: "", parts, isQuoted: true, unindents: false, place: this.#place(from) };
    }
    const heredoc = this.#match(HEREDOC);
    if (heredoc !== undefined) return this.#heredoc(heredoc);
    const word = this.#match(IDENTIFIER);
    if (word !== undefined) return this.#taken("identifier", word[0]);
    const number = this.#match(NUMBER);
    if (number !== undefined) return this.#taken("number", number[0]);
    const symbol = SYMBOLS.find((one) => text.startsWith(one, from));
    if (symbol !== undefined) return this.#taken("symbol", symbol);
    const character = String.fromCodePoint(text.codePointAt(from) ?? 0);
    const hint = character === "'" ? 'strings stand in double quotes: "…"' : undefined;
    throw faultAt(this.#place(from, from + character.length), `${JSON.stringify(character)} has no meaning here`, hint);
  }

  #taken(kind: "identifier" | "number" | "symbol", text: string): Token {
    const from = this.#at;
    this.#at += text.length;
    return { kind, text, place: this.#place(from) };
  }

  /** The parts of a template up to its closing quote, which is taken, or to the end of the text. */
  #template(end: "quote" | "end", open: number): TemplatePart[] {
    this.#depth += 1;
    if (this.#depth > DEEPEST) throw faultAt(this.#place(open, open + 1), "templates are nested too deeply");
    const parts: TemplatePart[] = [];
    let text = "";
    let from = this.#at;
    const flush = (): void => {
      if (text !== "") parts.push({ kind: "text", text, place: this.#place(from) });
      text = "";
    };
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined || (character === "\n" && end === "quote")) {
        if (end === "end") break;
        const hint = "a text of several lines is a heredoc: <<EOT";
        throw faultAt(this.#place(open, open + 1), "this string is not closed in its line", hint);
      }
      if (character === '"' && end === "quote") break;
      if (character === "\\" && end === "quote") {
        text += this.#escape();
      } else if (/^(?:\$\$|%%)\{/.test(this.#text.slice(this.#at, this.#at + 3))) {
        text += this.#text.slice(this.#at + 1, this.#at + 3);
        this.#at += 3;
      } else if ((character === "$" || character === "%") && this.#text[this.#at + 1] === "{") {
        flush();
        parts.push(this.#part(character === "$" ? "value" : "directive"));
        from = this.#at;
      } else {
        text += character;
        this.#at += 1;
        if (character === "\n") {
          flush();
          from = this.#at;
        }
      }
    }
    flush();
    if (end === "quote") this.#at += 1;
    this.#depth -= 1;
    return parts;
  }

  #part(kind: "value" | "directive"): TemplatePart {
    const from = this.#at;
    this.#at += 2;
    const before = this.#text[this.#at] === "~";
    if (before) this.#at += 1;
    const tokens = this.#until(from);
    const after = this.#text[this.#at] === "~";
    this.#at += after ? 2 : 1;
    const last: Token = { kind: "end", text: "", place: this.#place(this.#at - 1) };
    return { kind, tokens: [...tokens, last], trims: { before, after }, place: this.#place(from) };
  }

  #escape(): string {
    const from = this.#at;
    const text = this.#text.slice(from, from + 10);
    const plain = ESCAPES[text[1] ?? ""];
    if (plain !== undefined) {
      this.#at += 2;
      return plain;
    }
    const [whole, short, long] = /^\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(text) ?? [];
    const code = Number.parseInt(short ?? long ?? "", 16);
    if (whole === undefined || code > 0x10ffff) {
      throw faultAt(this.#place(from, from + 2), "this is no escape", "a backslash itself is \\\\");
    }
    this.#at += whole.length;
    return String.fromCodePoint(code);
  }

  /** `<<EOT` keeps the lines as they are, `<<-EOT` takes off what they are all indented by. */
  #heredoc([head, dash, marker = ""]: RegExpExecArray): Token {
    const from = this.#at;
    this.#at += head.length;
    const begin = this.#at;
    const ends = new RegExp(`^[ \\t]*${marker}[ \\t]*(?:\\r?$)`, "gmu");
    ends.lastIndex = begin;
    const end = ends.exec(this.#text);
    if (end === null) {
      throw faultAt(this.#place(from, from + head.trimEnd().length), `this heredoc is not closed by a line ${marker}`);
    }
    const body = new Lexer(this.#source);
    body.#depth = this.#depth;
    const parts = body.#section(begin, end.index);
    this.#at = end.index + end[0].trimEnd().length;
    return {
      kind: "template",
      text: "",
      parts,
      isQuoted: false,
      unindents: dash === "-",
      place: this.#place(from),
    };
  }

  /** The parts of a range of lines, a part for each line and each `${…}`. */
  #section(begin: number, end: number): TemplatePart[] {
    this.#at = begin;
    const parts: TemplatePart[] = [];
    let text = "";
    let from = begin;
    const flush = (): void => {
      if (text !== "") parts.push({ kind: "text", text, place: this.#place(from) });
      text = "";
      from = this.#at;
    };
    while (this.#at < end) {
      const three = this.#text.slice(this.#at, this.#at + 3);
      if (/^(?:\$\$|%%)\{/.test(three)) {
        text += three.slice(1);
        this.#at += 3;
      } else if (/^[$%]\{/.test(three)) {
        flush();
        parts.push(this.#part(three.startsWith("$") ? "value" : "directive"));
        from = this.#at;
      } else {
        text += three[0] ?? "";
        this.#at += 1;
        if (three.startsWith("\n")) flush();
      }
    }
    if (this.#at > end) throw faultAt(this.#place(end), "a heredoc ends within a part of its template");
    flush();
    return parts;
  }
}
