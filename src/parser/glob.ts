import { KbuildError } from "../errors.ts";
import { shown } from "./characters.ts";

/**
 * Wildcards of file names: Go's `path/filepath.Match` on Unix, and, with `**`, what moby/patternmatcher makes of it.
 * A pattern is compiled to a list of states and matched by walking through all of them at once, so that the time is at
 * most the product of the two lengths, whatever the pattern.
 */
export type State =
  | { readonly kind: "character"; readonly character: string }
  /** `?`: any character but a slash. */
  | { readonly kind: "one" }
  /** `*`: any text without a slash. */
  | { readonly kind: "some" }
  /** `**` or `**` with a slash in the middle of a pattern: nothing, or any text that ends with a slash. */
  | { readonly kind: "folders" }
  /** `**` at the end: any text. */
  | { readonly kind: "rest" }
  /** `[a-z]`, `[^a-z]`; unlike `*`, a class matches a slash. */
  | { readonly kind: "class"; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] };

type Class = Extract<State, { kind: "class" }>;

/**
 * Compiles a pattern. `spansFolders`: whether `**` is more than two `*`.
 * @throws KbuildError `build.pattern` when it is malformed
 */
export function compileGlob(pattern: string, spansFolders: boolean): State[] {
  const characters = [...pattern];
  const states: State[] = [];
  for (let at = 0; at < characters.length; ) {
    const character = characters[at] ?? "";
    if (character === "*") {
      at++;
      if (!spansFolders || characters[at] !== "*") {
        // Two of them in a row are no more than one.
        if (states.at(-1)?.kind !== "some") states.push({ kind: "some" });
        continue;
      }
      at++;
      if (characters[at] === "/") at++;
      if (at === characters.length) states.push({ kind: "rest" });
      else if (states.at(-1)?.kind !== "folders") states.push({ kind: "folders" });
    } else if (character === "?") {
      at++;
      states.push({ kind: "one" });
    } else if (character === "[") {
      const read = readClass(pattern, characters, at + 1);
      // Docker's matcher refuses such a range, Go's lets it match nothing.
      if (spansFolders && read.state.ranges.some(([low, high]) => low > high)) {
        throw malformed(pattern, "a range in a class ends before it begins");
      }
      states.push(read.state);
      at = read.next;
    } else {
      const read = readLiteral(pattern, characters, at);
      states.push({ kind: "character", character: read.character });
      at = read.next;
    }
  }
  return states;
}

/** A character, or a backslash and the character that it escapes. */
function readLiteral(pattern: string, characters: readonly string[], at: number): { character: string; next: number } {
  const isEscape = characters[at] === "\\";
  const character = characters[isEscape ? at + 1 : at];
  if (character === undefined) throw malformed(pattern, isEscape ? "a backslash escapes nothing" : "a [ is not closed");
  return { character, next: at + (isEscape ? 2 : 1) };
}

/** A class, from behind its bracket on. A dash or bracket that is to be a member must be escaped. */
function readClass(pattern: string, characters: readonly string[], start: number): { state: Class; next: number } {
  const negated = characters[start] === "^";
  const ranges: [number, number][] = [];
  let at = negated ? start + 1 : start;
  const end = (): number => {
    if (characters[at] === "-" || characters[at] === "]") {
      throw malformed(pattern, `a ${characters[at]} in a class has to be escaped`);
    }
    const read = readLiteral(pattern, characters, at);
    at = read.next;
    return read.character.codePointAt(0) ?? 0;
  };
  while (ranges.length === 0 || characters[at] !== "]") {
    const low = end();
    if (characters[at] === "-") {
      at++;
      ranges.push([low, end()]);
    } else ranges.push([low, low]);
  }
  return { state: { kind: "class", negated, ranges }, next: at + 1 };
}

function malformed(pattern: string, why: string): KbuildError {
  return new KbuildError("build.pattern", `the pattern "${shown(pattern)}" is malformed: ${why}`, {
    hint: "a backslash in front of [ * ? takes their meaning away",
  });
}

/** Whether the whole text matches; with `orParent`, also whether a folder that a path is in does. */
export function matchGlob(states: readonly State[], text: string, orParent: boolean): boolean {
  // Every other state takes a character, and a long pattern costs time on every path.
  if (states.length > text.length && states.filter(takesOne).length > text.length) return false;
  const walk = new Walk(states);
  walk.enter(0);
  for (const character of text) {
    if (orParent && character === "/" && walk.isDone) return true;
    if (!walk.step(character)) return false;
  }
  return walk.isDone;
}

function takesOne({ kind }: State): boolean {
  return kind === "character" || kind === "one" || kind === "class";
}

/** The set of states that the text so far leads to. */
class Walk {
  readonly #states: readonly State[];
  #current: number[] = [];
  #next: number[] = [];
  /** Per state, the number of the step that last listed it, so that none is listed twice. */
  readonly #listed: Int32Array;
  /** Per state, the number of the step that last entered it, rather than only staying in it. */
  readonly #entered: Int32Array;
  #step = 1;

  constructor(states: readonly State[]) {
    this.#states = states;
    this.#listed = new Int32Array(states.length + 1);
    this.#entered = new Int32Array(states.length + 1);
  }

  get isDone(): boolean {
    return this.#current.includes(this.#states.length);
  }

  /** Begins in a state. */
  enter(state: number): void {
    this.#enter(state);
    this.#swap();
  }

  /** Takes one character; false when nothing can match any more. */
  step(character: string): boolean {
    const isSlash = character === "/";
    for (const number of this.#current) {
      const state = this.#states[number];
      if (state === undefined) continue;
      switch (state.kind) {
        case "character":
          if (state.character === character) this.#enter(number + 1);
          break;
        case "one":
          if (!isSlash) this.#enter(number + 1);
          break;
        case "some":
          if (!isSlash) this.#enter(number);
          break;
        case "rest":
          this.#enter(number);
          break;
        case "folders":
          // Behind a slash the rest of the pattern may begin; in the middle of a name it may not.
          if (isSlash) this.#enter(number + 1);
          this.#stay(number);
          break;
        case "class":
          if (isMember(state, character)) this.#enter(number + 1);
          break;
      }
    }
    this.#swap();
    return this.#current.length > 0;
  }

  #swap(): void {
    [this.#current, this.#next] = [this.#next, this.#current];
    this.#next.length = 0;
    this.#step++;
  }

  /** Enters a state, and those behind it that it can be left for without a character. */
  #enter(first: number): void {
    for (let number = first; number <= this.#states.length; number++) {
      if (this.#entered[number] === this.#step) return;
      this.#entered[number] = this.#step;
      this.#stay(number);
      const kind = this.#states[number]?.kind;
      if (kind !== "some" && kind !== "rest" && kind !== "folders") return;
    }
  }

  #stay(number: number): void {
    if (this.#listed[number] === this.#step) return;
    this.#listed[number] = this.#step;
    this.#next.push(number);
  }
}

function isMember(state: Class, character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return state.ranges.some(([low, high]) => low <= code && code <= high) !== state.negated;
}
