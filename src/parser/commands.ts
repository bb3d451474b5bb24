import type { KbuildError } from "../errors.ts";
import { isSpace, shown } from "./characters.ts";
import { parseDuration } from "./duration.ts";
import type { Command, HealthcheckInstruction, Word } from "./instructions.ts";
import { looksLikeJson, parseJsonWords } from "./json-form.ts";
import { faultAt, faultOf, type Statement } from "./statement.ts";

/**
 * The command from `start` to the end of the instruction: a JSON array of strings, else a shell's text, which may be
 * blank. An array that was meant to be JSON and is not runs in a shell, as docker has it, with a warning.
 * @throws KbuildError `build.jsonForm` for an array with something else than strings
 */
export function readCommand(statement: Statement, start: number): Command {
  const { line, end, keyword } = statement;
  const text = line.text.slice(start, end);
  const location = line.location(start, end);
  const words = parseJsonWords(text);
  if (words === "mixed") throw mixedJson(statement, start);
  if (words !== undefined) return { form: "exec", words: words.map((word) => word.text), location };
  if (looksLikeJson(text)) warnOfJson(statement, start, `so ${keyword} runs it as a text in a shell`);
  return { form: "shell", text, location };
}

/**
 * CMD and ENTRYPOINT: `[]` takes away an inherited one. Without any word they are a shell that is told nothing, which
 * docker takes as well; whoever wrote that hardly meant it, so there is a warning.
 */
export function parseCommand(statement: Statement): Command {
  statement.flags();
  if (statement.text === "") {
    const { keyword } = statement;
    warnOfBlank(statement, `${keyword} has no command: it starts a shell that ends at once; ${keyword} [] means none`);
  }
  return readCommand(statement, statement.rest);
}

/** Warns of an instruction that may stand without a command, and then runs a shell with nothing to do. */
export function warnOfBlank(statement: Statement, message: string): void {
  const { line, start, end } = statement;
  statement.warn({ code: "BlankCommand", message, location: line.location(start, end) });
}

/** SHELL, which has no shell form. */
export function parseShell(statement: Statement): readonly string[] {
  statement.flags();
  const words = parseJsonWords(statement.text);
  if (words === "mixed") throw mixedJson(statement, statement.rest);
  if (words !== undefined && words.length > 0) return words.map((word) => word.text);
  throw statement.line.fault(
    "build.jsonForm",
    "SHELL takes a JSON array of strings",
    statement.text === "" ? statement.start : statement.rest,
    statement.end,
    'write it with double quotes, for instance SHELL ["/bin/bash", "-c"]',
  );
}

type Health = Pick<
  HealthcheckInstruction,
  "check" | "interval" | "timeout" | "startPeriod" | "startInterval" | "retries"
>;

/**
 * HEALTHCHECK: NONE, or CMD and a command.
 * @throws KbuildError `build.parse`, `build.duration`, `build.flagValue`
 */
export function parseHealthcheck(statement: Statement): Health {
  const { line, end } = statement;
  const flags = statement.flags();
  let typeEnd = statement.rest;
  while (typeEnd < end && !isSpace(line.text.charCodeAt(typeEnd))) typeEnd++;
  let start = typeEnd;
  while (start < end && isSpace(line.text.charCodeAt(start))) start++;
  const type = line.text.slice(statement.rest, typeEnd);
  const health = {
    interval: readDuration(statement, flags.text("interval"), "interval"),
    timeout: readDuration(statement, flags.text("timeout"), "timeout"),
    startPeriod: readDuration(statement, flags.text("start-period"), "start-period"),
    startInterval: readDuration(statement, flags.text("start-interval"), "start-interval"),
    retries: readRetries(statement, flags.text("retries")),
  };
  switch (type.toUpperCase()) {
    case "NONE": {
      if (start !== end) throw line.fault("build.parse", "HEALTHCHECK NONE takes nothing more", start, end);
      const [flag] = flags.all;
      if (flag !== undefined) {
        const message = `HEALTHCHECK NONE has no use for --${flag.name}`;
        statement.warn({ code: "UnusedFlag", message, location: flag.location });
      }
      return { check: "NONE", ...NO_TIMES };
    }
    case "CMD": {
      const command = readCommand(statement, start);
      if (start === end || (command.form === "exec" && command.words.length === 0)) {
        throw faultOf(statement, "build.parse", "HEALTHCHECK CMD has no command", "write HEALTHCHECK CMD COMMAND");
      }
      return { check: command, ...health };
    }
    case "":
      throw faultOf(statement, "build.parse", "HEALTHCHECK checks nothing", HEALTH_HINT);
    default: {
      const message = `HEALTHCHECK takes CMD or NONE, not "${shown(type)}"`;
      throw line.fault("build.parse", message, statement.rest, typeEnd, HEALTH_HINT);
    }
  }
}

const HEALTH_HINT = "write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE";

const NO_TIMES = {
  interval: undefined,
  timeout: undefined,
  startPeriod: undefined,
  startInterval: undefined,
  retries: undefined,
};

/** What docker's engine takes as the least. */
const LEAST_DURATION = 1_000_000;

/** Zero means not set. */
function readDuration(statement: Statement, word: Word | undefined, name: string): number | undefined {
  if (word === undefined) return undefined;
  const duration = parseDuration(word.text);
  const fail = (message: string) =>
    faultAt(statement, word.location, "build.duration", message, "write it as 30s, 1m30s or 500ms");
  if (duration === undefined) throw fail(`--${name}: "${shown(word.text)}" is not a duration`);
  if (duration === 0) return undefined;
  if (duration < LEAST_DURATION) throw fail(`--${name}: ${shown(word.text)} is less than 1ms`);
  return duration;
}

/** Zero means not set, too. */
function readRetries(statement: Statement, word: Word | undefined): number | undefined {
  if (word === undefined) return undefined;
  const retries = /^[-+]?\d{1,10}$/.test(word.text) ? Number(word.text) : Number.NaN;
  if (retries >= 0 && retries < 2 ** 31) return retries === 0 ? undefined : retries;
  const message = `--retries: "${shown(word.text)}" is not a number of retries`;
  throw faultAt(statement, word.location, "build.flagValue", message, "write a whole number, for instance --retries=3");
}

/** The error for a JSON array that holds something else than strings. */
export function mixedJson(statement: Statement, start: number): KbuildError {
  return statement.line.fault(
    "build.jsonForm",
    `${statement.keyword}: a JSON array may hold strings only`,
    start,
    statement.end,
    "put every part in double quotes",
  );
}

/** Warns of an array that is no JSON though it looks like some. */
export function warnOfJson(statement: Statement, start: number, consequence: string): void {
  statement.warn({
    code: "InvalidJSONForm",
    message: `this looks like a JSON array and is none, ${consequence}: strings of JSON stand in double quotes`,
    location: statement.line.location(start, statement.end),
  });
}
