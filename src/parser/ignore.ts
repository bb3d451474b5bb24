import { KbuildError } from "../errors.ts";
import { shown, trimSpace } from "./characters.ts";
import { compileGlob, matchGlob, type State } from "./glob.ts";

/** A line of an ignore file after Docker's clean-up. */
export interface IgnoreLine {
  /** Trimmed and cleaned, without `!` and without a leading slash. */
  readonly pattern: string;
  readonly negated: boolean;
  /** From 1. */
  readonly line: number;
}

/** Patterns made ready for {@link isIgnored}. */
export type CompiledRules = readonly CompiledRule[];

interface CompiledRule {
  readonly negated: boolean;
  /** Whether a path, or a folder that it is in, matches. */
  readonly matches: (path: string) => boolean;
}

/**
 * Reads an ignore file. Lines that begin with `#`, and blank ones, are dropped; the rest is trimmed and cleaned as
 * paths are. Dockerfile reference, ".dockerignore file".
 * @throws KbuildError `build.pattern`, with the line's number in its message, for a malformed pattern and a bare `!`
 */
export function parseIgnoreFile(text: string): readonly IgnoreLine[] {
  const lines: IgnoreLine[] = [];
  const content = text.startsWith("\ufeff") ? text.slice(1) : text;
  for (const [number, raw] of content.split("\n").entries()) {
    if (raw.startsWith("#")) continue;
    const line = trimSpace(raw);
    if (line === "") continue;
    const negated = line.startsWith("!");
    const written = negated ? trimSpace(line.slice(1)) : line;
    const cleaned = written === "" ? "" : cleanPath(written);
    if (negated && (cleaned === "" || cleaned === "/")) throw nothingToLetIn(`line ${number + 1}: `);
    const pattern = cleaned.length > 1 && cleaned.startsWith("/") ? cleaned.slice(1) : cleaned;
    checkPattern(pattern, number + 1);
    lines.push({ pattern, negated, line: number + 1 });
  }
  return lines;
}

function checkPattern(pattern: string, line: number): void {
  try {
    compileGlob(pattern, true);
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    throw new KbuildError(error.code, `line ${line}: ${error.message}`, { hint: error.hint });
  }
}

/**
 * Makes patterns ready, each with `!` in front if it lets in again what an earlier one excludes; blank ones are no
 * rules, but keep their number.
 * @throws KbuildError `build.pattern` when one is malformed
 */
export function compileRules(patterns: readonly string[]): CompiledRules {
  return patterns.map((text) => {
    const trimmed = trimSpace(text);
    if (trimmed === "") return { negated: false, matches: () => false };
    const cleaned = cleanPath(trimmed);
    if (cleaned === "!") throw nothingToLetIn("");
    const negated = cleaned.startsWith("!");
    return compileRule(negated ? cleaned.slice(1) : cleaned, negated);
  });
}

/**
 * Makes the lines of an ignore file ready; a rule's number is that of its line in the list.
 * @throws KbuildError `build.pattern` when one is malformed
 */
export function compileIgnoreLines(lines: readonly IgnoreLine[]): CompiledRules {
  const last = new Map(lines.map(({ pattern }, number) => [pattern, number]));
  // Where a later rule has the same pattern, this one is never what decides.
  return lines.map(({ pattern, negated }, number) =>
    last.get(pattern) === number ? compileRule(pattern, negated) : { negated, matches: () => false },
  );
}

/**
 * Whether the rules exclude a path (with slashes, none at its ends). The last rule that matches the path, or a folder
 * that it is in, decides; `rule` is the number of the one that did. Meaning of moby/patternmatcher's
 * `MatchesOrParentMatches`.
 */
export function isIgnored(rules: CompiledRules, path: string): { readonly ignored: boolean; readonly rule?: number } {
  for (let number = rules.length - 1; number >= 0; number--) {
    const rule = rules[number];
    if (rule?.matches(path)) return { ignored: !rule.negated, rule: number };
  }
  return { ignored: false };
}

/**
 * Whether a name matches a pattern, as Go's `path/filepath.Match` on Unix: `*` and `?` stop at a slash.
 * @throws KbuildError `build.pattern` when the pattern is malformed
 */
export function matchName(pattern: string, name: string): boolean {
  return matchGlob(compileGlob(pattern, false), name, false);
}

function compileRule(pattern: string, negated: boolean): CompiledRule {
  const states = compileGlob(pattern, true);
  return { negated, matches: matcher(pattern, states) };
}

/** Most patterns are plain names, which need no walk. */
function matcher(pattern: string, states: readonly State[]): (path: string) => boolean {
  const [first, ...more] = states;
  const isPlain = (list: readonly State[]) => list.every(({ kind }) => kind === "character");
  if (!pattern.includes("\\")) {
    if (isPlain(states)) return (path) => path === pattern || path.startsWith(`${pattern}/`);
    // `**` in front of plain text, without a slash between them, means any path that ends so, even within a name.
    if (first?.kind === "folders" && isPlain(more) && !pattern.includes("*", 2)) {
      const text = pattern.slice(2);
      return text.startsWith("/")
        ? (path) => `/${path}/`.includes(`${text}/`)
        : (path) => `${path}/`.includes(`${text}/`);
    }
  }
  return (path) => matchGlob(states, path, true);
}

/** Go's `path/filepath.Clean` on Unix. */
export function cleanPath(path: string): string {
  const isAbsolute = path.startsWith("/");
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.length > 0 && names.at(-1) !== "..") names.pop();
    else if (!isAbsolute) names.push(name);
  }
  const clean = `${isAbsolute ? "/" : ""}${names.join("/")}`;
  return clean === "" ? "." : clean;
}

function nothingToLetIn(place: string): KbuildError {
  return new KbuildError("build.pattern", `${shown(place)}"!" without a pattern lets nothing in`, {
    hint: "write the path to let in behind the !",
  });
}
