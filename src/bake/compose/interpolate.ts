/** Where values of variables come from; `undefined`: not set. */
export type Lookup = (name: string) => string | undefined;

/** A variable that has to be set is not, or what stands there is no variable. */
export class InterpolationFault extends Error {}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const OPERATORS = [":-", ":?", ":+", "-", "?", "+"] as const;

/**
 * A text with its variables replaced: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${NAME:+other}`, each
 * also without the colon, which lets an empty value count; `$$` is a `$`. Compose specification, "Interpolation".
 *
 * @param unset told of variables that are not set where nothing is taken instead
 * @throws InterpolationFault
 */
export function interpolate(text: string, lookup: Lookup, unset: (name: string) => void): string {
  return new Interpolation(text, lookup, unset).until(undefined);
}

class Interpolation {
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #unset: (name: string) => void;
  #at = 0;
  #depth = 0;

  constructor(text: string, lookup: Lookup, unset: (name: string) => void) {
    this.#text = text;
    this.#lookup = lookup;
    this.#unset = unset;
  }

  /** Up to a closing brace, which is left standing, or to the end. */
  until(closing: "}" | undefined): string {
    this.#depth += 1;
    if (this.#depth > 50) throw new InterpolationFault("variables are nested too deeply");
    let found = "";
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) {
        if (closing !== undefined) throw new InterpolationFault("the brace of a variable is not closed");
        break;
      }
      if (character === closing) break;
      if (character === "$") found += this.#variable();
      else {
        found += character;
        this.#at += 1;
      }
    }
    this.#depth -= 1;
    return found;
  }

  #variable(): string {
    const next = this.#text[this.#at + 1];
    if (next === "$") {
      this.#at += 2;
      return "$";
    }
    const isBraced = next === "{";
    NAME.lastIndex = this.#at + (isBraced ? 2 : 1);
    const name = NAME.exec(this.#text)?.[0];
    if (name === undefined) throw new InterpolationFault("a $ is followed by no name of a variable; $$ stands for a $");
    this.#at = NAME.lastIndex;
    if (!isBraced) return this.#valueOf(name);
    const operator = OPERATORS.find((one) => this.#text.startsWith(one, this.#at));
    if (operator === undefined) {
      if (this.#text[this.#at] !== "}") throw new InterpolationFault(`something odd follows the name ${name}`);
      this.#at += 1;
      return this.#valueOf(name);
    }
    this.#at += operator.length;
    const other = this.until("}");
    this.#at += 1;
    const value = this.#lookup(name);
    const isThere = value !== undefined && (!operator.startsWith(":") || value !== "");
    switch (operator.at(-1)) {
      case "-":
        return isThere ? value : other;
      case "+":
        return isThere ? other : "";
      default:
        if (isThere) return value;
        throw new InterpolationFault(`the variable ${name} is not set${other === "" ? "" : `: ${other}`}`);
    }
  }

  #valueOf(name: string): string {
    const value = this.#lookup(name);
    if (value === undefined) this.#unset(name);
    return value ?? "";
  }
}
