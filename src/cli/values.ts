import { KbuildError, suggest } from "../api.ts";

/** From the text of an option to its value. Each throws `usage.option`, naming the option. */
export type Parser<T> = (text: string, option: string) => T;

export function badValue(option: string, text: string, reason: string, hint?: string): KbuildError {
  return new KbuildError("usage.option", `${option} ${JSON.stringify(text)}: ${reason}`, { hint });
}

/** Go's `strconv.ParseBool`, which docker reads switches with. */
export const boolean: Parser<boolean> = (text, option) => {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw badValue(option, text, "this is neither true nor false");
};

export function oneOf<const T extends string>(choices: readonly T[]): Parser<T> {
  return (text, option) => {
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    const near = suggest(text, choices);
    throw badValue(option, text, `this must be one of ${choices.join(", ")}`, near && `did you mean ${near}?`);
  };
}

export const integer: Parser<number> = (text, option) => {
  if (!/^-?\d{1,9}$/.test(text)) throw badValue(option, text, "this must be a whole number");
  return Number(text);
};

const DURATION = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** Milliseconds as Go's `time.ParseDuration` reads them: `24h`, `1h30m`, `90s`. Finer than a millisecond is nothing. */
export const duration: Parser<number> = (text, option) => {
  const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) {
    throw badValue(option, text, "this is no duration", "durations are like 24h or 1h30m");
  }
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * DURATION[unit as keyof typeof DURATION], 0);
};

const UNITS = ["", "k", "m", "g", "t", "p"];

/** Bytes as docker's go-units reads them, in powers of 1024: `512`, `1.5g`, `10GB`, `10GiB`. */
export const size: Parser<number> = (text, option) => {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)\s*([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = Math.floor(Number(match?.[1]) * 1024 ** UNITS.indexOf((match?.[2] ?? "").toLowerCase()));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw badValue(option, text, "this is no size", "sizes are like 512MB or 10GB");
};

/** `KEY=VALUE`; without a `=` the value is undefined. */
export const pair: Parser<readonly [string, string | undefined]> = (text, option) => {
  const at = text.indexOf("=");
  const key = at < 0 ? text : text.slice(0, at);
  if (key.trim() === "") throw badValue(option, text, "the name before the = is missing");
  return [key, at < 0 ? undefined : text.slice(at + 1)];
};

/** `KEY=VALUE`, both needed. */
export const fullPair: Parser<readonly [string, string]> = (text, option) => {
  const [key, value] = pair(text, option);
  if (value === undefined || value === "") throw badValue(option, text, "this must be NAME=VALUE");
  return [key, value];
};

export const text: Parser<string> = (value, option) => {
  if (value === "") throw badValue(option, value, "this must not be empty");
  return value;
};

/** Names with commas between them. */
export const names: Parser<readonly string[]> = (value, option) => {
  const found = value.split(",").map((name) => name.trim());
  if (found.includes("")) throw badValue(option, value, "a name is empty");
  return found;
};

/** The fields of one line of CSV as docker reads it: quoted ones may hold commas, `""` is a quote. */
export function csvFields(line: string, option: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    let field = "";
    if (line[at] === '"') {
      for (at += 1; ; at += 1) {
        if (at >= line.length) throw badValue(option, line, "a quote is not closed");
        if (line[at] !== '"') field += line[at];
        else if (line[at + 1] === '"') field += line[at++];
        else break;
      }
      at += 1;
      if (at < line.length && line[at] !== ",") throw badValue(option, line, "something follows a closing quote");
    } else {
      const end = line.indexOf(",", at);
      field = line.slice(at, end < 0 ? line.length : end);
      if (field.includes('"')) {
        throw badValue(option, line, "a quote in the middle of a field", 'quote the whole field: "dest=a,b.tar"');
      }
      at += field.length;
    }
    fields.push(field);
    if (at >= line.length) return fields;
    at += 1;
  }
}
