import { padEnd, printable, printableText, widthOf } from "./render/text.ts";
import type { Output } from "./shell.ts";

/** A line of a list: docker's fields, sorted by name as its JSON has them. */
export type Row = Readonly<Record<string, string>>;

/** A list as a command shows it. */
export interface Listing {
  readonly rows: readonly Row[];
  /** What stands above each field in a table. */
  readonly headline: Row;
  /** The fields of the table that is shown unless told otherwise. */
  readonly columns: readonly string[];
}

/**
 * Prints a list as `--format` asks: `table` (the default), `table TEMPLATE`, `json` (one object a line), or a template
 * for each line.
 *
 * @throws KbuildError `usage.template`; nothing is printed then
 */
export async function printListing(listing: Listing, format: string | undefined, stdout: Output): Promise<void> {
  const { rows, headline, columns } = listing;
  const given = format?.trim() ?? "table";
  const isTable = given === "table" || given.startsWith("table ") || given.startsWith("table\\t");
  // docker: a template's \t and \n stand for tab and line end, also outside of its actions.
  const template = (isTable ? given.slice("table".length) : given)
    .trim()
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n");
  if (isTable && template === "") {
    const line = (row: Row): string => columns.map((name) => printable(row[name] ?? "")).join("\t");
    stdout.write(alignColumns([headline, ...rows].map(line)));
    return;
  }
  const { formatter } = await import("./template.ts");
  const show = formatter(template);
  if (!isTable) {
    const text = rows.map((row) => `${show(row)}\n`).join("");
    stdout.write(stdout.isTTY ? printableText(text) : text);
    return;
  }
  const head = formatter(template, { headline: true })(headline);
  const lines = [head, ...rows.map((row) => show(printableRow(row)))].flatMap((text) => text.split("\n"));
  const text = alignColumns(lines);
  stdout.write(stdout.isTTY ? printableText(text) : text);
}

function printableRow(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, printable(value)]));
}

/** docker's settings for its tables. */
const USUAL = { least: 10, gap: 3 };

/**
 * Lines with tabs between their cells, as columns: Go's text/tabwriter. A column is as wide as its widest cell in lines
 * that follow each other, with a gap, and at least `least`; the last cell of a line belongs to no column.
 */
export function alignColumns(lines: readonly string[], { least, gap } = USUAL): string {
  const cells = lines.map((line) => line.split("\t"));
  const most = cells.reduce((most, row) => Math.max(most, row.length), 0);
  const widths = cells.map((): number[] => []);
  for (let column = 0; column < most - 1; column += 1) {
    for (let from = 0; from < cells.length; ) {
      let [to, width] = [from, least];
      for (; (cells[to]?.length ?? 0) > column + 1; to += 1)
        width = Math.max(width, widthOf(cells[to]?.[column] ?? "") + gap);
      for (let line = from; line < to; line += 1) widths[line]?.push(width);
      from = Math.max(to, from + 1);
    }
  }
  return cells
    .map((row, line) => `${row.map((cell, column) => padEnd(cell, widths[line]?.[column] ?? 0)).join("")}\n`)
    .join("");
}
