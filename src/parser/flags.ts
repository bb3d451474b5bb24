import type { Location } from "../errors.ts";
import { isSpace, shown } from "./characters.ts";
import type { Word } from "./instructions.ts";
import type { LogicalLine } from "./logical-line.ts";
import { suggest } from "./suggest.ts";

/** A flag as it stands in the line, from `start` to `end`; `text` is without quotes and escapes. */
export interface RawFlag {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A flag, `--name=value` or `--name` (then `value` is absent). */
export interface Flag {
  readonly name: string;
  readonly value: Word | undefined;
  readonly location: Location;
  /** The value's characters from `start` to `end`, with their own place. */
  readonly part: (start: number, end: number) => Word;
}

/** What kind of value a flag has: a text, several (the flag may be repeated), or true and false. */
export type FlagKind = "text" | "texts" | "boolean";

/** The flags of one instruction, by name without dashes. */
export type FlagTable = Readonly<Record<string, FlagKind>>;

/** The flags that each instruction has. Dockerfile reference, the sections of the instructions. */
export const FLAGS: Readonly<Record<string, FlagTable>> = {
  FROM: { platform: "text" },
  RUN: { mount: "texts", network: "text", security: "text", device: "texts" },
  COPY: {
    from: "text",
    chown: "text",
    chmod: "text",
    link: "boolean",
    parents: "boolean",
    exclude: "texts",
  },
  ADD: {
    "keep-git-dir": "boolean",
    checksum: "text",
    chown: "text",
    chmod: "text",
    link: "boolean",
    unpack: "boolean",
    exclude: "texts",
  },
  HEALTHCHECK: {
    interval: "text",
    timeout: "text",
    "start-period": "text",
    "start-interval": "text",
    retries: "text",
  },
};

/** Of the most instructions. */
const NONE: readonly RawFlag[] = [];

/**
 * Takes the flags off the front of an instruction's arguments: words that begin with `--`, until the first that does
 * not. A word `--` ends them. Quotes and backslashes are taken away here, whatever the Dockerfile's escape character.
 */
export function splitFlags(
  text: string,
  start: number,
  end: number,
): { readonly flags: readonly RawFlag[]; readonly rest: number } {
  let flags: RawFlag[] | undefined;
  for (let at = start; ; ) {
    while (at < end && isSpace(text.charCodeAt(at))) at++;
    if (!text.startsWith("--", at) || at + 2 > end) return { flags: flags ?? NONE, rest: at };
    const flag = readFlag(text, at, end);
    at = flag.end;
    if (flag.text !== "--") {
      if (flags === undefined) flags = [flag];
      else flags.push(flag);
      continue;
    }
    while (at < end && isSpace(text.charCodeAt(at))) at++;
    return { flags: flags ?? NONE, rest: at };
  }
}

/** A flag in which nothing is quoted or escaped. */
const PLAIN_FLAG = /[\w./:=,$@+-]*/y;

/** `positions`, if given, gets the place in `text` of each character of the flag. */
function readFlag(text: string, start: number, end: number, positions?: number[]): RawFlag {
  PLAIN_FLAG.lastIndex = start;
  PLAIN_FLAG.test(text);
  const plainEnd = Math.min(PLAIN_FLAG.lastIndex, end);
  if (positions === undefined && (plainEnd === end || isSpace(text.charCodeAt(plainEnd)))) {
    return { text: text.slice(start, plainEnd), start, end: plainEnd };
  }
  const parts: string[] = [];
  let quote: string | undefined;
  let at = start;
  for (; at < end; at++) {
    const character = text[at] ?? "";
    if (quote === undefined && isSpace(text.charCodeAt(at))) break;
    if (character === quote) quote = undefined;
    else if (quote === undefined && (character === "'" || character === '"')) quote = character;
    else if (character === "\\") {
      // At the very end it escapes nothing and is dropped.
      if (at + 1 < end) {
        parts.push(text[at + 1] ?? "");
        positions?.push(at + 1);
      }
      at++;
    } else {
      parts.push(character);
      positions?.push(at);
    }
  }
  return { text: parts.join(""), start, end: Math.min(at, end) };
}

/** An instruction's flags, checked. */
export interface ParsedFlags {
  /** In the order written. */
  readonly all: readonly Flag[];
  /** The value of a flag; undefined also when it is blank, which means the same to docker. */
  text(name: string): Word | undefined;
  texts(name: string): readonly Word[];
  boolean(name: string): boolean | undefined;
}

const NO_FLAGS: ParsedFlags = { all: [], text: () => undefined, texts: () => [], boolean: () => undefined };

/**
 * Checks the flags of an instruction.
 * @throws KbuildError `build.unknownFlag`, `build.duplicateFlag`, `build.flagValue`
 */
export function parseFlags(line: LogicalLine, keyword: string, raw: readonly RawFlag[]): ParsedFlags {
  if (raw.length === 0) return NO_FLAGS;
  const table = FLAGS[keyword] ?? {};
  const all: Flag[] = [];
  /** The first of each name. */
  const named = new Map<string, Flag>();
  for (const item of raw) {
    const flag = readNameAndValue(line, item);
    const kind = Object.hasOwn(table, flag.name) ? table[flag.name] : undefined;
    if (kind === undefined) {
      throw line.fault(
        "build.unknownFlag",
        `${keyword} has no flag --${shown(flag.name)}`,
        item.start,
        item.end,
        flagHint(keyword, flag.name, Object.keys(table)),
      );
    }
    const before = named.get(flag.name);
    if (kind !== "texts" && before !== undefined) {
      throw line.fault(
        "build.duplicateFlag",
        `--${flag.name} is given twice`,
        item.start,
        item.end,
        "keep one of them",
      );
    }
    checkValue(line, item, flag, kind);
    all.push(flag);
    if (before === undefined) named.set(flag.name, flag);
  }
  return {
    all,
    text: (name) => {
      const value = named.get(name)?.value;
      return value?.text === "" ? undefined : value;
    },
    texts: (name) => (named.has(name) ? all.flatMap((flag) => (flag.name === name ? (flag.value ?? []) : [])) : []),
    boolean: (name) => {
      const flag = named.get(name);
      return flag === undefined ? undefined : flag.value?.text.toLowerCase() !== "false";
    },
  };
}

function readNameAndValue(line: LogicalLine, item: RawFlag): Flag {
  const location = line.location(item.start, item.end);
  const equals = item.text.indexOf("=");
  const name = item.text.slice(2, equals < 0 ? undefined : equals);
  let positions: number[] | undefined;
  const part = (start: number, end: number): Word => {
    if (positions === undefined) {
      positions = [];
      readFlag(line.text, item.start, item.end, positions);
    }
    const [from, to] = [equals + 1 + start, equals + 1 + end];
    const first = positions[from] ?? item.end;
    const last = to > from ? (positions[to - 1] ?? item.end - 1) + 1 : first;
    return line.word(first, last, item.text.slice(from, to));
  };
  if (equals < 0) return { name, value: undefined, location, part };
  const written = line.text.indexOf("=", item.start) + 1;
  const value = line.word(Math.min(written, item.end), item.end, item.text.slice(equals + 1));
  return { name, value, location, part };
}

function checkValue(line: LogicalLine, item: RawFlag, flag: Flag, kind: FlagKind): void {
  const fault = (message: string, hint: string) => line.fault("build.flagValue", message, item.start, item.end, hint);
  if (kind !== "boolean") {
    if (flag.value === undefined) throw fault(`--${flag.name} has no value`, `write --${flag.name}=VALUE`);
    return;
  }
  const text = flag.value?.text;
  if (text === undefined || /^(true|false)$/i.test(text)) return;
  throw fault(
    text === "" ? `--${flag.name}= has no value` : `--${flag.name} is true or false, not "${shown(text)}"`,
    `write --${flag.name} or --${flag.name}=false`,
  );
}

function flagHint(keyword: string, name: string, names: readonly string[]): string {
  const near = suggest(name, names);
  if (near !== undefined) return `did you mean --${near}?`;
  const owners = Object.keys(FLAGS).filter((other) => Object.hasOwn(FLAGS[other] ?? {}, name));
  if (owners.length > 0) return `--${name} is a flag of ${owners.join(" and ")}`;
  if (names.length === 0) return `${keyword} has no flags`;
  return `its flags are ${names.map((each) => `--${each}`).join(", ")}`;
}
