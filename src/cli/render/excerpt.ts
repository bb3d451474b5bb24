import type { Excerpt } from "../../api.ts";
import { printable } from "./text.ts";

const RULER = "-".repeat(20);

/** Lines of a file with those that are meant marked by `>>>`, as BuildKit prints them. */
export function excerptLines(file: string, { first, lines, from, to }: Excerpt): string[] {
  const body = lines.map((line, index) => {
    const number = first + index;
    const mark = number >= from && number <= to ? ">>>" : "   ";
    return ` ${String(number).padStart(3)} | ${mark} ${printable(line.replace(/\t/g, "    "))}`.trimEnd();
  });
  return [`${printable(file)}:${from}`, RULER, ...body, RULER];
}
