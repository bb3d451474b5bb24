import type { Location } from "../../src/errors.ts";

/** The text of a file at a place, by lines and characters as a person counts them; line ends are `\n`. */
export function textAt(source: string, location: Location): string {
  const lines = source.split("\n").map((line) => [...line]);
  const end = location.end ?? location;
  const taken = lines.slice(location.line - 1, end.line);
  return taken
    .map((line, number) =>
      line
        .slice(number === 0 ? location.column - 1 : 0, number === taken.length - 1 ? end.column - 1 : undefined)
        .join(""),
    )
    .join("\n");
}

/** All places in a value, however deep. */
export function* placesIn(value: unknown): IterableIterator<Location> {
  if (typeof value !== "object" || value === null) return;
  if ("line" in value && "column" in value && "file" in value) yield value as Location;
  else for (const inner of Object.values(value)) yield* placesIn(inner);
}

/** How many characters each line of a text has. */
export function lineLengths(source: string): readonly number[] {
  return source.split("\n").map((line) => [...line].length);
}

/** What is wrong with a place: outside of the lines, or ending before it begins; undefined when nothing is. */
export function misplaced(lines: readonly number[], location: Location): string | undefined {
  for (const { line, column } of [location, location.end ?? location]) {
    const length = lines[line - 1];
    if (length === undefined) return `there is no line ${line}`;
    if (column < 1 || column > length + 1) return `line ${line} has no column ${column}`;
  }
  const { end } = location;
  if (end && (end.line < location.line || (end.line === location.line && end.column < location.column))) {
    return "it ends before it begins";
  }
  return undefined;
}
