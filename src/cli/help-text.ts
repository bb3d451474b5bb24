import type { CommandSpec } from "./command.ts";
import type { OptionSpec, OptionTable } from "./option-table.ts";
import { padEnd, widthOf } from "./render/text.ts";

const LEAST_WIDTH = 40;
/** Wider lines are hard to read. */
const MOST_WIDTH = 120;
/** What an option is called may take so many columns, if its help is to stand beside it. */
const MOST_NAMES = 34;

/** What `kbuild COMMAND --help` prints: options in the groups and the order of their table. No line is wider than `width`. */
export function commandHelp(spec: CommandSpec<OptionTable>, width: number): string {
  const columns = bounded(width);
  const options = Object.values(spec.options);
  const parts = [wrap(`Usage: kbuild ${spec.name} ${spec.usage}`.trimEnd(), columns, "", "    ")];
  parts.push(
    spec.about
      .split("\n\n")
      .map((text) => wrap(text.replaceAll("\n", " "), columns, "", ""))
      .join("\n\n"),
  );
  if (spec.aliases) parts.push(wrap(`Also called: ${spec.aliases.join(", ")}`, columns, "", "    "));
  const shown = options.filter((option) => option.later === undefined || option.harmless !== undefined);
  const beside = besideColumn(shown.map(namesOf), columns);
  for (const [group, members] of grouped(shown)) {
    const lines = members.map((option) => entry(namesOf(option), option.help, beside, columns));
    parts.push([`${group}:`, ...lines].join("\n"));
  }
  const later = options.filter((option) => option.later !== undefined && option.harmless === undefined);
  if (later.length > 0) {
    parts.push(
      wrap(`Not supported yet: ${later.map(({ names }) => names.replace(/^.* /, "")).join(", ")}`, columns, "", "    "),
    );
  }
  if (spec.examples) {
    parts.push(
      ["Examples:", ...spec.examples.map((example) => wrap(example, columns, "  ", "      ", " \\"))].join("\n"),
    );
  }
  return `${parts.join("\n\n")}\n`;
}

/** The options by their groups, both in the table's order. */
function grouped(options: readonly OptionSpec[]): Map<string, OptionSpec[]> {
  const groups = new Map<string, OptionSpec[]>();
  for (const option of options) {
    const name = option.group ?? "Options";
    const members = groups.get(name);
    if (members === undefined) groups.set(name, [option]);
    else members.push(option);
  }
  return groups;
}

export function bounded(width: number): number {
  return Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, width));
}

/** `  -t, --tag NAME[:TAG]`; long names stand below each other. */
function namesOf({ names, argument }: OptionSpec): string {
  const indented = names.startsWith("--") ? `      ${names}` : `  ${names}`;
  return argument === undefined ? indented : `${indented} ${argument}`;
}

/** Where the help of options begins; undefined when there is no room beside their names. */
export function besideColumn(names: readonly string[], columns: number): number | undefined {
  if (columns < 60) return undefined;
  return names.map(widthOf).reduce((most, own) => (own <= MOST_NAMES ? Math.max(most, own) : most), 0) + 3;
}

export function entry(name: string, help: string, beside: number | undefined, columns: number): string {
  const indent = " ".repeat(beside ?? 8);
  if (beside !== undefined && widthOf(name) + 3 <= beside) {
    return wrap(help, columns, padEnd(name, beside), indent);
  }
  return `${wrap(name.trimStart(), columns, /^ */.exec(name)?.[0] ?? "", indent)}\n${wrap(help, columns, indent, indent)}`;
}

/**
 * Breaks text at spaces; what has none is broken where the line ends.
 *
 * @param end stands at the end of every line but the last
 */
export function wrap(text: string, columns: number, first: string, rest: string, end = ""): string {
  const room = columns - end.length;
  const lines: string[] = [];
  let line = first;
  let isEmpty = true;
  for (const word of text.split(" ")) {
    let left = word;
    if (!isEmpty && widthOf(line) + 1 + widthOf(left) > room) {
      lines.push(line);
      [line, isEmpty] = [rest, true];
    }
    while (widthOf(line) + widthOf(left) > room && isEmpty) {
      const fits = Math.max(1, room - widthOf(line));
      lines.push(line + left.slice(0, fits));
      [line, left] = [rest, left.slice(fits)];
    }
    line += isEmpty ? left : ` ${left}`;
    isEmpty = false;
  }
  return [...lines.map((one) => one + end), line].join("\n");
}
