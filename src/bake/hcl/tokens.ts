import type { KbuildError } from "../../errors.ts";
import { faultAt, type Place } from "../source.ts";
import type { Token } from "./lexer.ts";

/** What is nested more deeply is refused, for each level takes its part of the stack. */
const DEEPEST = 200;

/** Tokens one after the other, and what is wrong where others are needed. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  readonly #last: Token;
  #at = 0;
  #depth = 0;
  /** In brackets, ends of lines do not count. */
  #isInBrackets: boolean;

  constructor(tokens: readonly Token[], options: { readonly isInBrackets?: boolean; readonly depth?: number } = {}) {
    const last = tokens.at(-1);
    if (last === undefined) throw new RangeError("tokens end with one of kind end");
    this.#tokens = tokens;
    this.#last = last;
    this.#isInBrackets = options.isInBrackets === true;
    this.#depth = options.depth ?? 0;
  }

  peek(): Token {
    if (this.#isInBrackets) while (this.#tokens[this.#at]?.kind === "newline") this.#at += 1;
    return this.#tokens[this.#at] ?? this.#last;
  }

  take(): Token {
    const token = this.peek();
    this.#at += 1;
    return token;
  }

  isSymbol(...texts: readonly string[]): boolean {
    const token = this.peek();
    return token.kind === "symbol" && texts.includes(token.text);
  }

  isWord(text: string): boolean {
    const token = this.peek();
    return token.kind === "identifier" && token.text === text;
  }

  expect(text: string, what = text): Place {
    if (!this.isSymbol(text)) throw this.unexpected(what);
    return this.take().place;
  }

  unexpected(wanted: string): KbuildError {
    const token = this.peek();
    const found =
      token.kind === "end"
        ? "the end"
        : token.kind === "newline"
          ? "the end of the line"
          : token.kind === "template"
            ? "a string"
            : token.text;
    return faultAt(token.place, `${wanted} is missing before ${found}`);
  }

  /** Does something one level deeper, with ends of lines counted or not as outside of all brackets. */
  nested<T>(place: Place | undefined, work: () => T, isInBrackets = false): T {
    const before = this.#isInBrackets;
    this.#depth += 1;
    if (this.#depth > DEEPEST) throw faultAt(place ?? this.peek().place, "this is nested too deeply");
    this.#isInBrackets = isInBrackets;
    const result = work();
    this.#isInBrackets = before;
    this.#depth -= 1;
    return result;
  }

  protected get depth(): number {
    return this.#depth;
  }

  protected get isInBrackets(): boolean {
    return this.#isInBrackets;
  }

  /** What was opened is closed here; takes what closes it. */
  protected close(text: string, open: Place): Place {
    this.mark(text, open);
    return this.take().place;
  }

  /** What was opened is closed here. */
  protected mark(text: string, open: Place): void {
    if (this.isSymbol(text)) return;
    if (this.peek().kind === "end") throw faultAt(open, `this is not closed by a ${text}`);
    throw this.unexpected(text === ")" || text === "]" ? `a , or a ${text}` : text);
  }
}
