import type { KbuildError, Location } from "../../api.ts";
import type { Paint } from "./colors.ts";
import { cut, printable, widthOf } from "./text.ts";

/** How many lines are shown above and below those that are meant. */
const AROUND = 2;
/** Of a place that spans many lines, so many are shown. */
const MOST_LINES = 8;
/** Without a terminal, longer source lines are cut here. */
const DEFAULT_WIDTH = 160;

/**
 * An error as people see it: the place and the message, the hint, and the lines of the file with the place marked.
 * Ends with a line end. Whatever came from outside is made harmless.
 */
export function errorBlock(error: KbuildError, paint: Paint, width = DEFAULT_WIDTH): string {
  const { location, source, hint } = error;
  const [first = "", ...more] = error.message.split("\n").map(printable);
  const head = location
    ? `${paint.bold(`${printable(location.file)}:${location.line}:${location.column}:`)} ${paint.error(first)}`
    : `${paint.error("error:")} ${first}`;
  const lines = [head, ...more.map((line) => `  ${line}`)];
  if (hint) {
    const [hintFirst = "", ...hintMore] = hint.split("\n").map(printable);
    lines.push(`  ${paint.running("hint:")} ${hintFirst}`, ...hintMore.map((line) => `        ${line}`));
  }
  if (location && source !== undefined) lines.push(...excerpt(location, source, paint, width));
  return `${lines.join("\n")}\n`;
}

function excerpt(location: Location, source: string, paint: Paint, width: number): string[] {
  const text = source.split(/\r?\n/);
  if (text.at(-1) === "") text.pop();
  const { line: from } = location;
  if (from < 1 || from > text.length) return [];
  const last = Math.min(text.length, location.end?.line ?? from, from + MOST_LINES - 1);
  const start = Math.max(1, from - AROUND);
  const end = Math.min(text.length, last + AROUND);
  const gutter = String(end).length;
  const lines: string[] = [];
  for (let number = start; number <= end; number += 1) {
    const isMeant = number >= from && number <= last;
    const lead = ` ${String(number).padStart(gutter)} | `;
    const raw = text[number - 1] ?? "";
    const shown = cut(`${isMeant ? ">>> " : ""}${show(raw)}`, width - lead.length).trimEnd();
    lines.push(`${paint.dim(lead)}${isMeant ? shown : paint.dim(shown)}`.trimEnd());
    if (number !== from) continue;
    const mark = marker(location, raw, width - lead.length - 4);
    if (mark !== "") lines.push(`${" ".repeat(lead.length + 4)}${paint.error(mark)}`);
  }
  return lines;
}

/** A line of the file as it is shown; tabs are widened so that marks stand where they should. */
function show(raw: string): string {
  return printable(raw.replace(/\t/g, "    "));
}

/** Spaces and carets under what is meant; nothing when that is the whole line or lies beyond what is shown. */
function marker(location: Location, raw: string, room: number): string {
  const characters = [...raw];
  const from = location.column - 1;
  const whole = location.end === undefined || location.end.line > location.line;
  const to = whole ? (location.end ? characters.length : from + 1) : (location.end?.column ?? from + 2) - 1;
  const indent = widthOf(show(characters.slice(0, from).join("")));
  const length = Math.max(1, widthOf(show(characters.slice(from, to).join(""))));
  if (indent >= room) return "";
  return " ".repeat(indent) + "^".repeat(Math.min(length, room - indent));
}
