import type { Measured } from "./rounds.ts";
import type { Run } from "./runner.ts";

/** What the table is about. */
export interface ReportOptions {
  readonly subject: string;
  readonly peers: readonly string[];
  /** Lines about the machine and the programs. */
  readonly about: readonly string[];
  /** Engines that could not take part, and why. */
  readonly missing: ReadonlyMap<string, string>;
}

const MIB = 1 << 20;
const LONGEST_MESSAGE = 600;

/** All tables as markdown: what was missing, the subject beside its fastest peer and the bare cost, then every engine. */
export function report(measured: readonly Measured[], options: ReportOptions): string {
  const parts = [
    ...[...options.missing].map(([name, why]) => `> **${name} took no part**: ${brief(why)}\n`),
    options.about.map((line) => `- ${line}`).join("\n"),
    "",
    ratioTable(measured, options),
    "",
    engineTable(measured, options),
  ];
  const failed = measured.flatMap(({ name, failures }) =>
    [...failures].map(([who, why]) => `- ${name}, ${who}: ${brief(why)}`),
  );
  if (failed.length > 0) parts.push("", "**Failed:**", "", ...failed);
  return `${parts.join("\n")}\n`;
}

function ratioTable(measured: readonly Measured[], { subject, peers }: ReportOptions): string {
  const rows = measured.map(({ name, title, runs, failures }) => {
    const own = runs.get(subject) ?? [];
    const best = fastest(runs, peers);
    const peer = best === undefined ? [] : (runs.get(best) ?? []);
    const raw = runs.get("raw") ?? [];
    const node = runs.get("node -e 0") ?? [];
    return [
      `${name} ${title}`,
      failures.has(subject) ? "FAILED" : seconds(own),
      best === undefined ? "-" : `${seconds(peer)} (${best})`,
      ratio(own, peer),
      seconds(raw),
      ratio(own, raw),
      ratio(own, node),
      mebibytes(own),
      mebibytes(peer),
    ];
  });
  const head = [
    "case",
    `${subject} s`,
    "fastest peer s",
    "÷ peer",
    "bare cost s",
    "÷ bare",
    "÷ `node -e 0`",
    "MiB",
    "peer MiB",
  ];
  return table(head, rows);
}

function engineTable(measured: readonly Measured[], { missing }: ReportOptions): string {
  const rows = measured.flatMap(({ name, runs, failures }) => [
    ...[...runs].map(([who, each]) => [
      name,
      who,
      `${seconds(each)} (${span(each)})`,
      `${median(each.map(({ user }) => user)).toFixed(2)} + ${median(each.map(({ system }) => system)).toFixed(2)}`,
      mebibytes(each),
      each[0]?.bytes === undefined ? "" : (each[0].bytes / MIB).toFixed(1),
    ]),
    ...[...failures.keys()].map((who) => [name, who, "FAILED", "", "", ""]),
  ]);
  for (const name of missing.keys()) rows.push(["all", name, "took no part", "", "", ""]);
  return table(["case", "engine", "s (least to most)", "CPU s, user + system", "MiB", "archive MiB"], rows);
}

/** The peer with the smallest median. */
function fastest(runs: ReadonlyMap<string, readonly Run[]>, peers: readonly string[]): string | undefined {
  const there = peers.filter((name) => (runs.get(name) ?? []).length > 0);
  const time = (name: string): number => median((runs.get(name) ?? []).map(({ wall }) => wall));
  return there.sort((a, b) => time(a) - time(b))[0];
}

/** The median of the ratios of the rounds: what slows a round down slows both. */
function ratio(own: readonly Run[], other: readonly Run[]): string {
  const ratios = own.flatMap(({ wall }, round) => {
    const beside = other[round];
    return beside === undefined ? [] : [wall / beside.wall];
  });
  return ratios.length === 0 ? "-" : median(ratios).toFixed(2);
}

function seconds(runs: readonly Run[]): string {
  return runs.length === 0 ? "-" : time(median(runs.map(({ wall }) => wall)));
}

function span(runs: readonly Run[]): string {
  const walls = runs.map(({ wall }) => wall);
  return `${time(Math.min(...walls))} to ${time(Math.max(...walls))}`;
}

function time(value: number): string {
  return value.toFixed(value < 1 ? 3 : 2);
}

function mebibytes(runs: readonly Run[]): string {
  return runs.length === 0 ? "-" : (median(runs.map(({ peak }) => peak)) / MIB).toFixed(0);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

/** A message on one line of bounded length, since an engine may have printed a lot. */
function brief(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length <= LONGEST_MESSAGE
    ? line
    : `${line.slice(0, LONGEST_MESSAGE / 2)} … ${line.slice(-LONGEST_MESSAGE / 2)}`;
}
