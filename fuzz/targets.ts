import { KbuildError } from "../src/errors.ts";
import { planBuild } from "../src/executor/plan.ts";
import { applyConfig, type ConfigInstruction } from "../src/executor/steps/config.ts";
import { compileIgnoreLines, isIgnored, parseIgnoreFile } from "../src/parser/ignore.ts";
import type { Dockerfile, Instruction } from "../src/parser/instructions.ts";
import { parseDockerfile } from "../src/parser/parser.ts";
import { expandHeredoc, expandWord, expandWords } from "../src/parser/words.ts";
import { lineLengths, misplaced, placesIn } from "../test/parser/places.ts";
import type { Case } from "./cases.ts";

/**
 * Feeds a case to what it is for. Throws when something else comes out than a value or an error that kbuild means: one of
 * its own, of the kind that a build has, with a place in the text where it is about a Dockerfile.
 */
export function feed({ target, text }: Case): void {
  switch (target) {
    case "dockerfile":
      feedDockerfile(text);
      break;
    case "ignore":
      feedIgnore(text);
      break;
    case "words":
      feedWords(text);
      break;
  }
}

const PLATFORM = { os: "linux", architecture: "amd64" } as const;

function feedDockerfile(text: string): void {
  const file = meant(() => parseDockerfile(text, "Dockerfile"), true);
  if (file === undefined) return;
  const lines = lineLengths(file.source);
  for (const place of placesIn(file)) {
    const wrong = misplaced(lines, place);
    if (wrong !== undefined) throw new Error(`${JSON.stringify(place)}: ${wrong}`);
  }
  const given = new Map([["X", "given"]]);
  const input = { given, buildPlatform: PLATFORM, targetPlatform: PLATFORM, contextNames: new Set(["c"]) };
  meant(() => planBuild(file, { ...input, target: undefined }), true);
  meant(() => planBuild(file, { ...input, target: "n" }), false);
  for (const { instructions } of file.stages) for (const each of instructions) feedConfig(each, file);
}

/** Instructions that make no layer go all the way into a configuration. */
function feedConfig(instruction: Instruction, file: Dockerfile): void {
  if (!isConfig(instruction)) return;
  const { escape: escapeCharacter } = file.directives;
  meant(
    () =>
      applyConfig(
        instruction,
        {},
        { hasOwnCommand: false },
        (word) => expandWord(word.text, lookup, escapeCharacter),
        (word) => expandWords(word.text, lookup, escapeCharacter),
      ),
    false,
  );
}

function isConfig(instruction: Instruction): instruction is ConfigInstruction {
  return !["FROM", "ARG", "COPY", "ADD", "RUN", "WORKDIR", "ONBUILD"].includes(instruction.kind);
}

const PATHS = ["a", "a/b", "a/b/c.txt", ".a", "é/😀", `${"a/".repeat(500)}b`, "a".repeat(4000)];

function feedIgnore(text: string): void {
  const lines = meant(() => parseIgnoreFile(text), false);
  if (lines === undefined) return;
  const rules = compileIgnoreLines(lines);
  for (const path of PATHS) isIgnored(rules, path);
}

const VALUES = new Map([
  ["X", "a/b.c*\\"],
  ["A", "ab".repeat(2000)],
  ["a", ""],
]);
const lookup = (name: string): string | undefined => VALUES.get(name);

function feedWords(text: string): void {
  for (const escapeCharacter of ["\\", "`"] as const) {
    meant(() => expandWord(text, lookup, escapeCharacter), false);
    meant(() => expandWords(text, lookup, escapeCharacter), false);
    meant(() => expandHeredoc(text, lookup, escapeCharacter), false);
  }
}

/** What comes out, or undefined for an error that kbuild means. */
function meant<T>(run: () => T, hasPlace: boolean): T | undefined {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof KbuildError) || !error.code.startsWith("build.")) throw error;
    if (error.message.length + (error.hint?.length ?? 0) > 1000)
      throw new Error(`a message of a megabyte: ${error.code}`);
    const { location, source } = error;
    if (location === undefined || source === undefined) {
      if (hasPlace) throw new Error(`${error.code} has no place: ${error.message}`);
      return undefined;
    }
    const wrong = misplaced(lineLengths(source), location);
    if (wrong !== undefined) throw new Error(`${error.code}: ${JSON.stringify(location)}: ${wrong}`);
    return undefined;
  }
}
