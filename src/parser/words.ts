import { KbuildError } from "../errors.ts";
import { isSpace, shown } from "./characters.ts";
import type { Escape } from "./directives.ts";
import { replaceMatches, withoutPrefix, withoutSuffix } from "./pattern.ts";

/** Gives a variable's value; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** How many `${…}` may stand inside each other. */
const DEEPEST = 100;
/** An expansion may add so many characters to a text: variables that double each other end here, not in memory. */
const MOST_ADDED = 2 ** 20;

/** Characters of what a Dockerfile itself has to say about a variable that is missing. */
const MOST_TOLD = 400;

/**
 * Expands variables in a word and takes its quotes and escapes away. Dockerfile reference, "Environment replacement".
 * `onUnset` is told every variable without a value that the result depends on and that has no default.
 * @throws KbuildError `build.expand`, without a place: the caller knows it
 */
export function expandWord(
  text: string,
  lookup: Lookup,
  escapeCharacter: Escape,
  options: { readonly onUnset?: (name: string) => void } = {},
): string {
  return new Expansion(text, lookup, escapeCharacter, true, options.onUnset).run().join("");
}

/**
 * Expands like {@link expandWord}, and splits at white space that is not quoted, be it written or from a variable.
 * @throws KbuildError `build.expand`, without a place
 */
export function expandWords(text: string, lookup: Lookup, escapeCharacter: Escape): string[] {
  const parts = new Expansion(text, lookup, escapeCharacter, true, undefined).split();
  return parts.filter((word) => word !== "");
}

/**
 * Expands variables in a heredoc's content. Quotes are kept and quote nothing; the escape character is taken away, and
 * what follows it stays as it is.
 * @throws KbuildError `build.expand`, without a place
 */
export function expandHeredoc(content: string, lookup: Lookup, escapeCharacter: Escape): string {
  return new Expansion(content, lookup, escapeCharacter, false, undefined).run().join("");
}

/** A part of the result: whether it is quoted or escaped, so that white space in it does not split words. */
interface Part {
  readonly text: string;
  readonly quoted: boolean;
}

/** The state of one expansion: the text and how far it is read. */
class Expansion {
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #escape: string;
  /** Whether quotes mean something. */
  readonly #quotes: boolean;
  readonly #onUnset: ((name: string) => void) | undefined;
  #at = 0;
  #depth = 0;
  #added = 0;
  /** Above zero while a word is read that is not used, as the default of a variable that is set. */
  #unused = 0;

  constructor(
    text: string,
    lookup: Lookup,
    escapeCharacter: Escape,
    quotes: boolean,
    onUnset: ((name: string) => void) | undefined,
  ) {
    this.#text = text;
    this.#lookup = lookup;
    this.#escape = escapeCharacter;
    this.#quotes = quotes;
    this.#onUnset = onUnset;
  }

  run(): string[] {
    return this.#readUntil(undefined, false).map(({ text }) => text);
  }

  split(): string[] {
    const words: string[] = [];
    let word: string[] = [];
    for (const { text, quoted } of this.#readUntil(undefined, false)) {
      if (quoted) {
        word.push(text);
        continue;
      }
      let start = 0;
      for (let at = 0; at < text.length; at++) {
        if (!isSpace(text.charCodeAt(at))) continue;
        words.push(word.join("") + text.slice(start, at));
        word = [];
        start = at + 1;
      }
      word.push(text.slice(start));
    }
    words.push(word.join(""));
    return words;
  }

  /** Reads to the end, or behind the character `stop`. With `raw`, escapes are kept, for patterns. */
  #readUntil(stop: string | undefined, raw: boolean): Part[] {
    const parts: Part[] = [];
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at];
      if (character === stop) {
        this.#at++;
        return parts;
      }
      if (character === "$") parts.push({ text: this.#dollar(), quoted: false });
      else if (character === "'" && this.#quotes) parts.push({ text: this.#singleQuoted(), quoted: true });
      else if (character === '"' && this.#quotes) parts.push({ text: this.#doubleQuoted(raw), quoted: true });
      else if (character === this.#escape) parts.push({ text: this.#escaped(raw), quoted: true });
      else parts.push({ text: this.#plain(stop), quoted: false });
    }
    if (stop !== undefined) throw fault(`\${ is not closed: a ${stop} is missing in ${shown(this.#text)}`);
    return parts;
  }

  /** The characters up to the next one that may mean something. */
  #plain(stop: string | undefined): string {
    const start = this.#at;
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at];
      if (character === stop || character === "$" || character === this.#escape) break;
      if (this.#quotes && (character === "'" || character === '"')) break;
    }
    return this.#text.slice(start, this.#at);
  }

  /** An escape character and what it escapes; at the end of the text it escapes nothing and is dropped. */
  #escaped(raw: boolean): string {
    this.#at++;
    const escaped = this.#character();
    return raw ? this.#escape + escaped : escaped;
  }

  /** Reads one whole character, which may be of two units; nothing at the end. */
  #character(): string {
    const code = this.#text.codePointAt(this.#at);
    const character = code === undefined ? "" : String.fromCodePoint(code);
    this.#at += character.length;
    return character;
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw fault(`a single quote is not closed in ${shown(this.#text)}`);
    const inside = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return inside;
  }

  #doubleQuoted(raw: boolean): string {
    const parts: string[] = [];
    this.#at++;
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) throw fault(`a double quote is not closed in ${shown(this.#text)}`);
      if (character === '"') break;
      if (character === "$") parts.push(this.#dollar());
      else if (character === this.#escape) parts.push(this.#escapedInQuotes(raw));
      else parts.push(this.#plain('"'));
    }
    this.#at++;
    return parts.join("");
  }

  /** Between double quotes only `"`, `$` and the escape character itself can be escaped. */
  #escapedInQuotes(raw: boolean): string {
    this.#at++;
    const next = this.#text[this.#at];
    const isEscape = next === '"' || next === "$" || next === this.#escape;
    // A backslash that is one must be one for a pattern, too.
    if (!isEscape) return raw ? this.#escape + this.#escape : this.#escape;
    this.#at++;
    return raw ? this.#escape + next : next;
  }

  #dollar(): string {
    this.#at++;
    if (this.#text[this.#at] !== "{") {
      const name = this.#name();
      return name === "" ? "$" : this.#take(this.#value(name, true) ?? "");
    }
    if (++this.#depth > DEEPEST) throw fault(`more than ${DEEPEST} \${…} stand inside each other`);
    this.#at++;
    const value = this.#take(this.#braced());
    this.#depth--;
    return value;
  }

  /** Counts what an expansion gives, and ends it when that is too much. */
  #take(value: string): string {
    this.#added += value.length;
    if (this.#added > MOST_ADDED) throw fault(`variables make ${shown(this.#text)} longer than 1 MiB`);
    return value;
  }

  /** A name: letters, digits and `_`; only digits, if it begins with one; or one of the shell's special characters. */
  #name(): string {
    const rest = this.#text.slice(this.#at, this.#at + 1);
    if (/[@*#?\-$!]/.test(rest)) {
      this.#at++;
      return rest;
    }
    const pattern = /\p{Nd}+|[\p{L}\p{Nd}_]+/uy;
    pattern.lastIndex = this.#at;
    const name = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  #value(name: string, isNeeded: boolean): string | undefined {
    const value = this.#lookup(name);
    if (value === undefined && isNeeded && this.#unused === 0) this.#onUnset?.(name);
    return value;
  }

  /** What stands between `${` and `}`. */
  #braced(): string {
    const name = this.#name();
    if (name === "") throw fault(`\${ without a name in ${shown(this.#text)}`);
    const operator = this.#character();
    switch (operator) {
      case "}":
        return this.#value(name, true) ?? "";
      case ":":
        return this.#conditional(name, this.#character(), true);
      case "-":
      case "+":
      case "?":
        return this.#conditional(name, operator, false);
      case "#":
      case "%": {
        const pattern = this.#word("}", true);
        const value = this.#value(name, true) ?? "";
        const isLong = pattern.startsWith(operator);
        const cut = operator === "#" ? withoutPrefix : withoutSuffix;
        return cut(value, isLong ? pattern.slice(1) : pattern, isLong);
      }
      case "/": {
        const all = this.#text[this.#at] === "/";
        if (all) this.#at++;
        const pattern = this.#word("/", true);
        // Escapes stay in the replacement, as docker leaves them.
        const replacement = this.#word("}", true);
        return replaceMatches(this.#value(name, true) ?? "", pattern, replacement, all, MOST_ADDED);
      }
      default:
        throw unsupported(name, operator);
    }
  }

  /** `:-`, `:+`, `:?`, and the same without colon, which take a blank value for one that is set. */
  #conditional(name: string, operator: string, blankIsUnset: boolean): string {
    if (operator !== "-" && operator !== "+" && operator !== "?") {
      throw unsupported(name, operator === "" ? "" : `:${operator}`);
    }
    const value = this.#value(name, false);
    const isSet = value !== undefined && !(blankIsUnset && value === "");
    const isWordUsed = operator === "+" ? isSet : !isSet;
    if (!isWordUsed) this.#unused++;
    const word = this.#word("}", false);
    if (!isWordUsed) this.#unused--;
    if (operator === "?" && !isSet) {
      if (this.#unused > 0) return "";
      const state = value === undefined ? "not set" : "blank";
      const message = `the variable ${shown(name)} is ${state}`;
      throw fault(word === "" ? message : `${message}: ${shown(word, MOST_TOLD)}`);
    }
    if (isWordUsed) return word;
    return operator === "+" ? "" : (value ?? "");
  }

  #word(stop: string, raw: boolean): string {
    return this.#readUntil(stop, raw)
      .map(({ text }) => text)
      .join("");
  }
}

function unsupported(name: string, operator: string): KbuildError {
  if (operator === "") return fault(`\${${shown(name)} is not closed: a } is missing`);
  return new KbuildError("build.expand", `"${operator}" after \${${shown(name)} is not supported`, {
    hint: "what may follow a name is } :- - :+ + :? ? # ## % %% / //",
  });
}

function fault(message: string): KbuildError {
  return new KbuildError("build.expand", message);
}
