import { KbuildError } from "../errors.ts";
import { shown } from "./characters.ts";

/**
 * The patterns of `${name#pattern}`, `%` and `/`: `*` is any text, `?` any character, a backslash takes away the
 * meaning of what follows it. There are no classes: `[` is itself. Dockerfile reference, "Environment replacement".
 */

/** One position of a pattern: a character, or any character (undefined). */
type Unit = string | undefined;

/** A pattern: runs of units with any text between them. */
type Pattern = readonly (readonly Unit[])[];

/** Where a pattern matches, in characters. */
interface Match {
  readonly start: number;
  readonly end: number;
}

/**
 * Matching tries the pattern at every place of the value. The product of their lengths is bounded, so that nobody can
 * write a match that never ends; real ones are far below.
 */
const MOST_WORK = 2 ** 26;

/** Takes off the start of a value what the pattern matches: as little as it can, or, if `longest`, as much. */
export function withoutPrefix(value: string, text: string, longest: boolean): string {
  const characters = [...value];
  const match = matchAt(characters, 0, compile(text, characters.length), longest);
  return match === undefined ? value : characters.slice(match.end).join("");
}

/** Takes off the end of a value what the pattern matches: as little as it can, or, if `longest`, as much. */
export function withoutSuffix(value: string, text: string, longest: boolean): string {
  const characters = [...value].reverse();
  const pattern = compile(text, characters.length)
    .map((run) => [...run].reverse())
    .reverse();
  const match = matchAt(characters, 0, pattern, longest);
  return match === undefined ? value : characters.slice(match.end).reverse().join("");
}

/**
 * Replaces the first match of the pattern, or all of them; each is as long as it can be.
 * @throws KbuildError `build.expand` when the replacements are more than `most` units together
 */
export function replaceMatches(value: string, text: string, replacement: string, all: boolean, most: number): string {
  const characters = [...value];
  const pattern = compile(text, characters.length);
  const parts: string[] = [];
  let done = 0;
  let behind = -1;
  let added = 0;
  for (let from = 0; from <= characters.length; ) {
    const match = firstMatch(characters, from, pattern);
    if (match === undefined) break;
    const isEmpty = match.end === match.start;
    // A match of nothing right behind another match is none.
    if (!isEmpty || match.start !== behind) {
      added += replacement.length;
      if (added > most) throw new KbuildError("build.expand", `replacing ${shown(text)} makes the text too long`);
      parts.push(characters.slice(done, match.start).join(""), replacement);
      done = match.end;
      if (!all) break;
    }
    behind = match.end;
    from = isEmpty ? match.end + 1 : match.end;
  }
  parts.push(characters.slice(done).join(""));
  return parts.join("");
}

function compile(text: string, valueLength: number): Pattern {
  const runs: Unit[][] = [[]];
  const characters = [...text];
  if (characters.length * valueLength > MOST_WORK) {
    throw new KbuildError("build.expand", `the pattern ${shown(text)} is too long for the value that it is to match`);
  }
  for (let at = 0; at < characters.length; at++) {
    let unit: Unit = characters[at];
    if (unit === "*") {
      runs.push([]);
      continue;
    }
    if (unit === "?") unit = undefined;
    else if (unit === "\\") {
      at++;
      unit = characters[at];
      if (unit === undefined) {
        throw new KbuildError("build.expand", `the pattern ${shown(text)} ends with a backslash that escapes nothing`);
      }
    }
    runs.at(-1)?.push(unit);
  }
  return runs;
}

/** The match that begins at `start`. Any text between two runs is as short as can be, the last one as asked. */
function matchAt(value: readonly string[], start: number, pattern: Pattern, longest: boolean): Match | undefined {
  const [first = [], ...more] = pattern;
  if (!fits(value, start, first)) return undefined;
  let at = start + first.length;
  for (const [number, run] of more.entries()) {
    const isLast = number === more.length - 1;
    const found = isLast && longest ? lastFit(value, at, run) : firstFit(value, at, run);
    if (found === undefined) return undefined;
    at = found + run.length;
  }
  return { start, end: at };
}

/** The leftmost match, as long as it can be: where its first run fits first, or nowhere. */
function firstMatch(value: readonly string[], from: number, pattern: Pattern): Match | undefined {
  const start = firstFit(value, from, pattern[0] ?? []);
  return start === undefined ? undefined : matchAt(value, start, pattern, true);
}

function fits(value: readonly string[], at: number, run: readonly Unit[]): boolean {
  if (at + run.length > value.length) return false;
  return run.every((unit, offset) => unit === undefined || unit === value[at + offset]);
}

function firstFit(value: readonly string[], from: number, run: readonly Unit[]): number | undefined {
  for (let at = from; at + run.length <= value.length; at++) if (fits(value, at, run)) return at;
  return undefined;
}

function lastFit(value: readonly string[], from: number, run: readonly Unit[]): number | undefined {
  for (let at = value.length - run.length; at >= from; at--) if (fits(value, at, run)) return at;
  return undefined;
}
