import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import type { Dockerfile, Instruction, Word } from "../../src/parser/instructions.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";
import { REAL } from "../support/dockerfiles.ts";
import { dockerfile } from "./dockerfiles.ts";
import { textAt } from "./places.ts";
import { printDockerfile } from "./print.ts";

const Printing = suite("what was read can be written again");

/** What a Dockerfile says, without places and the forms that it says it in. */
function meaning({ directives, globalArguments, stages }: Dockerfile): unknown {
  return bare([directives, globalArguments, stages]);
}

function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== "object" || value === null) return value;
  // The text of an instruction has its blanks and flags as they were written; a word's is what it says.
  const written = ["location", "keyword", "text", "comments", "emptyContinuation", "written"];
  const left = "keyword" in value ? written : ["location"];
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => (left.includes(name) ? [] : [[name, bare(inner)]])),
  );
}

/** What is made of all there is may be refused: an escape character can be one of two. */
function parsed(source: string): Dockerfile | undefined {
  try {
    return parseDockerfile(source, "Dockerfile");
  } catch (error) {
    assert.instance(error, KbuildError);
    return undefined;
  }
}

function checkPrinting(source: string, file: Dockerfile): void {
  const printed = printDockerfile(file);
  const again = parseDockerfile(printed, "Dockerfile");
  assert.equal(meaning(again), meaning(file), `${source}\n---\n${printed}`);
  assert.is(printDockerfile(again), printed);
}

Printing("every Dockerfile that is made of what there is", () => {
  fc.assert(
    fc.property(dockerfile, (source) => {
      const file = parsed(source);
      fc.pre(file !== undefined);
      checkPrinting(source, file);
    }),
    { numRuns: 3000, maxSkipsPerRun: 1 },
  );
});

Printing("real ones", () => {
  let count = 0;
  for (const source of REAL) {
    const file = parsed(source);
    if (file === undefined) continue;
    checkPrinting(source, file);
    count++;
  }
  assert.ok(count > 250, `only ${count} of the real ones are taken`);
});

Printing.run();

const Places = suite("a place is where the text stands");

/** The words that stand in the file as they are, with what they are. */
function* wordsOf(instruction: Instruction): IterableIterator<Word> {
  switch (instruction.kind) {
    case "FROM":
      yield instruction.image;
      break;
    case "ARG":
      for (const { value } of instruction.items) if (value !== undefined) yield value;
      break;
    case "ENV":
    case "LABEL":
      for (const { name, value } of instruction.pairs) yield* [name, value];
      break;
    case "COPY":
    case "ADD":
      if (!instruction.json) yield* [...instruction.sources, instruction.destination];
      break;
    case "RUN":
    case "CMD":
    case "ENTRYPOINT":
      if (instruction.command.form === "shell") yield instruction.command;
      break;
    case "HEALTHCHECK":
      if (instruction.check !== "NONE" && instruction.check.form === "shell") yield instruction.check;
      break;
    case "WORKDIR":
      yield instruction.path;
      break;
    case "USER":
      yield instruction.user;
      break;
    case "STOPSIGNAL":
      yield instruction.signal;
      break;
    case "EXPOSE":
      yield* instruction.ports;
      break;
    case "ONBUILD":
      yield* wordsOf(instruction.instruction);
      break;
    default:
  }
}

/** Lines of a file put together as the reference says: escape characters at their ends go, and comments between them. */
function joined(text: string, escapeCharacter: string): string {
  const [first = "", ...more] = text.split("\n").map((line) => line.replace(/\r+$/, ""));
  const lines = [first, ...more.filter((line) => line.trim() !== "" && !line.trim().startsWith("#"))];
  return lines.map((line, number) => (number < lines.length - 1 ? cutEscape(line, escapeCharacter) : line)).join("");
}

function cutEscape(line: string, escapeCharacter: string): string {
  const end = line.replace(/[ \t]+$/, "");
  assert.ok(end.endsWith(escapeCharacter), `${JSON.stringify(line)} does not go on`);
  return end.slice(0, -1);
}

function checkPlaces(source: string, file: Dockerfile): void {
  for (const { from, instructions } of file.stages) {
    for (const instruction of [from, ...instructions]) {
      const { keyword, location } = instruction;
      assert.ok(textAt(file.source, location).startsWith(keyword), source);
      for (const word of wordsOf(instruction)) {
        const found = joined(textAt(file.source, word.location), file.directives.escape);
        assert.is(found, word.text, `${JSON.stringify(word.location)} of\n${source}`);
      }
    }
  }
}

Places("in every Dockerfile that is made of what there is", () => {
  fc.assert(
    fc.property(dockerfile, (source) => {
      const file = parsed(source);
      fc.pre(file !== undefined);
      checkPlaces(source, file);
    }),
    { numRuns: 2000, maxSkipsPerRun: 1 },
  );
});

Places.run();
