import type { KbuildError } from "../errors.ts";
import { shown, skipSpace } from "./characters.ts";
import { parseCommand, parseHealthcheck, parseShell } from "./commands.ts";
import type { Escape } from "./directives.ts";
import type { FromInstruction, Instruction, ParseWarning, Word } from "./instructions.ts";
import type { RawInstruction } from "./lexer.ts";
import { parseCopy, parseExpose, parseVolume } from "./lists.ts";
import { parseArguments, parsePairs } from "./pairs.ts";
import { parseRun } from "./run.ts";
import { faultOf, readStatement, restOf, type Statement, splitPlain } from "./statement.ts";
import { suggest } from "./suggest.ts";

/** All keywords. */
const KEYWORDS: readonly Instruction["kind"][] = [
  "ADD",
  "ARG",
  "CMD",
  "COPY",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "FROM",
  "HEALTHCHECK",
  "LABEL",
  "MAINTAINER",
  "ONBUILD",
  "RUN",
  "SHELL",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
];

const KINDS: ReadonlyMap<string, Instruction["kind"]> = new Map(KEYWORDS.map((keyword) => [keyword, keyword]));

/**
 * Parses one instruction. Dockerfile reference, one section for each.
 * @throws KbuildError `build.unknownInstruction`, `build.parse` and finer codes, with the place
 */
export function parseInstruction(
  raw: RawInstruction,
  escapeCharacter: Escape,
  warn: (warning: ParseWarning) => void,
): Instruction {
  return parseStatement(raw, readStatement(raw, 0, escapeCharacter, warn));
}

function parseStatement(raw: RawInstruction, statement: Statement): Instruction {
  const { line, start, keywordEnd, end } = statement;
  const kind = KINDS.get(statement.keyword);
  if (kind === undefined) throw unknownInstruction(statement);
  const location = line.source.location(line.offset(start), statement.fileEnd);
  const text = textOf(kind, line.text.slice(skipSpace(line.text, keywordEnd, end), end));
  const keyword = line.text.slice(start, keywordEnd);
  const { comments, emptyContinuation } = raw;
  switch (kind) {
    case "FROM":
      return { kind, location, text, keyword, comments, emptyContinuation, ...parseFrom(statement) };
    case "ARG":
      statement.flags();
      return { kind, location, text, keyword, comments, emptyContinuation, items: parseArguments(statement) };
    case "ENV":
    case "LABEL":
      statement.flags();
      return { kind, location, text, keyword, comments, emptyContinuation, pairs: parsePairs(statement) };
    case "COPY":
    case "ADD":
      return { kind, location, text, keyword, comments, emptyContinuation, ...parseCopy(statement) };
    case "RUN":
      return { kind, location, text, keyword, comments, emptyContinuation, ...parseRun(statement) };
    case "CMD":
    case "ENTRYPOINT":
      return { kind, location, text, keyword, comments, emptyContinuation, command: parseCommand(statement) };
    case "SHELL":
      return { kind, location, text, keyword, comments, emptyContinuation, words: parseShell(statement) };
    case "WORKDIR":
      return { kind, location, text, keyword, comments, emptyContinuation, path: parseOne(statement, "PATH") };
    case "USER":
      return { kind, location, text, keyword, comments, emptyContinuation, user: parseOne(statement, "USER[:GROUP]") };
    case "EXPOSE":
      return { kind, location, text, keyword, comments, emptyContinuation, ports: parseExpose(statement) };
    case "VOLUME":
      return { kind, location, text, keyword, comments, emptyContinuation, paths: parseVolume(statement) };
    case "STOPSIGNAL":
      return { kind, location, text, keyword, comments, emptyContinuation, signal: parseOne(statement, "SIGNAL") };
    case "MAINTAINER":
      return { kind, location, text, keyword, comments, emptyContinuation, name: parseOne(statement, "NAME").text };
    case "HEALTHCHECK":
      return { kind, location, text, keyword, comments, emptyContinuation, ...parseHealthcheck(statement) };
    case "ONBUILD":
      return { kind, location, text, keyword, comments, emptyContinuation, ...parseOnbuild(raw, statement) };
  }
}

/** An instruction as one line, with its keyword in upper case. */
function textOf(kind: string, rest: string): string {
  return rest === "" ? kind : `${kind} ${rest}`;
}

/** WORKDIR, USER, STOPSIGNAL and MAINTAINER take the whole rest of the line, spaces and all. */
function parseOne(statement: Statement, what: string): Word {
  statement.flags();
  const { keyword } = statement;
  if (statement.text === "") {
    throw faultOf(statement, "build.parse", `${keyword} needs a value`, `write ${keyword} ${what}`);
  }
  return restOf(statement);
}

const STAGE_NAME = /^[a-z][a-z0-9_.-]*$/;

/** FROM: an image, perhaps with a name for the stage. */
function parseFrom(statement: Statement): Pick<FromInstruction, "platform" | "image" | "name" | "written"> {
  const { line } = statement;
  const flags = statement.flags();
  const [image, as, name, ...more] = splitPlain(statement);
  if (image === undefined) {
    throw faultOf(statement, "build.parse", "FROM names no image", "write FROM IMAGE, or FROM scratch");
  }
  const platform = flags.text("platform");
  const base = { platform, image: line.word(image.start, image.end) };
  if (as === undefined) return { ...base, name: undefined, written: undefined };
  const isAs = line.text.slice(as.start, as.end).toUpperCase() === "AS";
  if (isAs && name === undefined) {
    throw line.fault(
      "build.parse",
      "the stage's name is missing after AS",
      as.start,
      as.end,
      "write FROM IMAGE AS NAME",
    );
  }
  const [surplus] = isAs ? more : [as];
  if (name === undefined || surplus !== undefined) {
    const { start } = surplus ?? as;
    throw line.fault(
      "build.parse",
      `FROM has more than an image: ${shown(line.text.slice(start, statement.end))}`,
      start,
      statement.end,
      "a stage is named by FROM IMAGE AS NAME",
    );
  }
  const written = line.text.slice(name.start, name.end);
  if (!STAGE_NAME.test(written.toLowerCase())) {
    throw line.fault(
      "build.stageName",
      `"${shown(written)}" cannot be the name of a stage`,
      name.start,
      name.end,
      "a name begins with a letter, and has letters, digits, _ - and . in it",
    );
  }
  return {
    ...base,
    name: line.word(name.start, name.end, written.toLowerCase()),
    written: { as: line.text.slice(as.start, as.end), name: written },
  };
}

const NOT_ON_BUILD = ["ONBUILD", "FROM", "MAINTAINER"];

/** ONBUILD: any other instruction, kept as it is written. */
function parseOnbuild(raw: RawInstruction, statement: Statement): { trigger: string; instruction: Instruction } {
  statement.flags();
  const { line, rest } = statement;
  if (statement.text === "") {
    throw faultOf(statement, "build.parse", "ONBUILD names no instruction", "write ONBUILD INSTRUCTION");
  }
  const inner = readStatement(raw, rest, statement.escape, statement.warn);
  if (NOT_ON_BUILD.includes(inner.keyword)) {
    throw line.fault("build.onbuild", `${inner.keyword} cannot be a trigger of ONBUILD`, inner.start, inner.keywordEnd);
  }
  const bodies = raw.heredocs.map((body) => `\n${body.raw}${body.head.name}`);
  // Docker keeps white space at the end, so it is kept here: the text is in the image's configuration.
  return { trigger: `${line.text.slice(rest)}${bodies.join("")}`, instruction: parseStatement(raw, inner) };
}

function unknownInstruction(statement: Statement): KbuildError {
  const { line, start, keywordEnd } = statement;
  const written = line.text.slice(start, keywordEnd);
  if (written === "") {
    return line.fault("build.parse", "this line continues on nothing", start, keywordEnd, "take the line out");
  }
  const near = suggest(written, KEYWORDS);
  return line.fault(
    "build.unknownInstruction",
    `unknown instruction: ${shown(written)}`,
    start,
    keywordEnd,
    near === undefined
      ? "if it belongs to the line before, that line has to end with the escape character"
      : `did you mean ${near}?`,
  );
}
