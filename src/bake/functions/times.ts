import { mapOf, toNumber, type Value } from "../values.ts";
import { type CallSite, type FunctionTable, given, ofText, ofTexts, taking, textOf, wrong } from "./function.ts";

const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const DAY = 86_400_000;

/** A moment, and by how many minutes the clock that told it was ahead of UTC. */
interface Moment {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly ahead: number;
}

/** RFC 3339, "Internet Date/Time Format". */
function parsed(text: string, site: CallSite, operand: number): Moment {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|([+-])(\d\d):(\d\d))$/.exec(text);
  const at = Date.parse(text);
  if (match === null || Number.isNaN(at)) {
    throw wrong(site, operand, `${JSON.stringify(text)} is no time`, "times are like 2006-01-02T15:04:05Z");
  }
  const [, , sign, hours = "0", minutes = "0"] = match;
  return { at, ahead: (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -1 : 1) };
}

/** The clock's time as if it were UTC. */
function clock({ at, ahead }: Moment): Date {
  return new Date(at + ahead * 60_000);
}

function offset(ahead: number, separator: string): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  const minutes = Math.abs(ahead);
  return `${ahead < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}${separator}${two(minutes % 60)}`;
}

function rfc3339(moment: Moment): string {
  return (
    clock(moment)
      .toISOString()
      .replace(/\.\d+Z$/, "") + (moment.ahead === 0 ? "Z" : offset(moment.ahead, ":"))
  );
}

/** Milliseconds of a duration as Go writes them: `1h30m`, `-10s`, `1.5h`. */
function duration(text: string, site: CallSite, operand: number): number {
  const units: Readonly<Record<string, number>> = {
    h: 3_600_000,
    m: 60_000,
    s: 1000,
    ms: 1,
    us: 1e-3,
    "\u00b5s": 1e-3,
    ns: 1e-6,
  };
  const [, sign = "", body = ""] = /^([+-]?)(.*)$/.exec(text) ?? [];
  const parts = [...body.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ms|us|\u00b5s|ns|h|m|s)/g)];
  if (body !== "0" && (parts.length === 0 || parts.map(([part]) => part).join("") !== body)) {
    throw wrong(site, operand, `${JSON.stringify(text)} is no duration`, "durations are like 24h or 1h30m");
  }
  const sum = parts.reduce((total, [, value, unit = ""]) => total + Number(value) * (units[unit] ?? 0), 0);
  return sign === "-" ? -sum : sum;
}

/** A letter that is repeated, or a text in quotes. go-cty, function/stdlib, "FormatDateFunc". */
const TOKEN = /'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'/g;

function formatted(format: string, moment: Moment, site: CallSite): string {
  const date = clock(moment);
  const two = (number: number): string => String(number).padStart(2, "0");
  const [month, day, hour] = [date.getUTCMonth(), date.getUTCDate(), date.getUTCHours()];
  const half = hour % 12 === 0 ? 12 : hour % 12;
  const verbs: Readonly<Record<string, string>> = {
    YYYY: String(date.getUTCFullYear()).padStart(4, "0"),
    YY: two(date.getUTCFullYear() % 100),
    MMMM: MONTHS[month] ?? "",
    MMM: (MONTHS[month] ?? "").slice(0, 3),
    MM: two(month + 1),
    M: String(month + 1),
    DD: two(day),
    D: String(day),
    EEEE: DAYS[date.getUTCDay()] ?? "",
    EEE: (DAYS[date.getUTCDay()] ?? "").slice(0, 3),
    hh: two(hour),
    h: String(hour),
    HH: two(half),
    H: String(half),
    AA: hour < 12 ? "AM" : "PM",
    aa: hour < 12 ? "am" : "pm",
    mm: two(date.getUTCMinutes()),
    m: String(date.getUTCMinutes()),
    ss: two(date.getUTCSeconds()),
    s: String(date.getUTCSeconds()),
    ZZZZZ: offset(moment.ahead, ":"),
    ZZZZ: offset(moment.ahead, ""),
    ZZZ: moment.ahead === 0 ? "UTC" : offset(moment.ahead, ""),
    Z: moment.ahead === 0 ? "Z" : offset(moment.ahead, ":"),
  };
  return format.replace(TOKEN, (token, quoted: string | undefined, letter: string | undefined) => {
    if (quoted !== undefined) return quoted === "" ? "'" : quoted.replaceAll("''", "'");
    if (token === "'") throw wrong(site, 0, "a quote is not closed");
    if (letter === undefined) return token;
    const text = verbs[token];
    if (text === undefined)
      throw wrong(site, 0, `there is no ${token} in dates`, "letters as they are stand in single quotes");
    return text;
  });
}

function facts(moment: Moment): readonly (readonly [string, Value])[] {
  const date = clock(moment);
  const begin = Date.UTC(date.getUTCFullYear(), 0, 1);
  // The week of a day is that of its Thursday. ISO 8601.
  const thursday = new Date(date.getTime() + (4 - (date.getUTCDay() || 7)) * DAY);
  const isoBegin = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  return [
    ["year", date.getUTCFullYear()],
    ["year_day", Math.floor((date.getTime() - begin) / DAY) + 1],
    ["day", date.getUTCDate()],
    ["month", date.getUTCMonth() + 1],
    ["month_name", MONTHS[date.getUTCMonth()] ?? ""],
    ["weekday", date.getUTCDay()],
    ["weekday_name", DAYS[date.getUTCDay()] ?? ""],
    ["hour", date.getUTCHours()],
    ["minute", date.getUTCMinutes()],
    ["second", date.getUTCSeconds()],
    ["iso_year", thursday.getUTCFullYear()],
    ["iso_week", Math.floor((thursday.getTime() - isoBegin) / DAY / 7) + 1],
  ];
}

function ofSeconds(seconds: number, site: CallSite, operand: number): Moment {
  if (!Number.isInteger(seconds)) throw wrong(site, operand, "seconds are a whole number");
  return inRange({ at: seconds * 1000, ahead: 0 }, site);
}

/** The years that RFC 3339 can write. */
function inRange(moment: Moment, site: CallSite): Moment {
  const year = Math.abs(moment.at) < 8e15 ? clock(moment).getUTCFullYear() : -1;
  if (year >= 0 && year <= 9999) return moment;
  throw wrong(site, 0, "this time is too far away");
}

export const TIME_FUNCTIONS: FunctionTable = {
  timestamp: taking(0, 0, (_, site) => rfc3339({ at: site.now(), ahead: 0 })),
  timeadd: ofTexts(2, ([text = "", added = ""], site) => {
    const { at, ahead } = parsed(text, site, 0);
    return rfc3339(inRange({ at: at + duration(added, site, 1), ahead }, site));
  }),
  formatdate: ofTexts(2, ([format = "", text = ""], site) => formatted(format, parsed(text, site, 1), site)),
  formattimestamp: taking(2, 2, (values, site) => {
    const format = textOf(values, 0, site);
    const time = given(values, 1);
    const moment = typeof time === "number" ? ofSeconds(time, site, 1) : parsed(textOf(values, 1, site), site, 1);
    return format === "X" ? String(Math.floor(moment.at / 1000)) : formatted(format, moment, site);
  }),
  rfc3339parse: ofText((text, site) => mapOf(facts(parsed(text, site, 0)))),
  unixtimestampparse: taking(1, 1, (values, site) => {
    const moment = ofSeconds(toNumber(given(values, 0), site.operand(0)), site, 0);
    return mapOf([...facts(moment), ["rfc3339", rfc3339(moment)]]);
  }),
};
