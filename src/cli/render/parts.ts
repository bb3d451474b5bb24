import type { BuildEvent, StepFinished, StepProgress } from "../../api.ts";
import type { Paint } from "./colors.ts";
import { excerptLines } from "./excerpt.ts";
import { printable, printableLog, progressBytes } from "./text.ts";

/** Where a renderer writes, and how. */
export interface RenderTarget {
  write(text: string): void;
  readonly paint: Paint;
  /** Whether misses are told at length. */
  readonly explain: boolean;
  /** Whether warnings are told at length. */
  readonly debug?: boolean;
}

/** The message of the error that ended the build, once it ended; `undefined` when it went well. */
export type Failure = PromiseLike<string | undefined>;

/** How far a part is: `transferring context: 12.58MB`, `sha256:8b1a… 12.58MB / 45.38MB`. */
export function progressText(event: Pick<StepProgress, "part" | "done" | "total" | "unit">): string {
  const { name, amount } = progressWords(event);
  return amount === "" ? name : `${name} ${amount}`;
}

/** A digest is told by its beginning. */
const DIGEST = /\bsha256:[0-9a-f]{64}\b/;
const DIGEST_SHOWN = "sha256:".length + 12;

export function progressWords(event: Pick<StepProgress, "part" | "done" | "total" | "unit">): {
  readonly name: string;
  readonly amount: string;
} {
  const name = printable(event.part);
  if (event.unit === "none") return { name, amount: "" };
  const count = (value: number): string =>
    event.unit === "bytes" ? progressBytes(value) : `${value} ${value === 1 ? "file" : "files"}`;
  if (DIGEST.test(name)) {
    const amount = event.total === undefined ? count(event.done) : `${count(event.done)} / ${count(event.total)}`;
    return { name: name.replace(DIGEST, (digest) => digest.slice(0, DIGEST_SHOWN)), amount };
  }
  const isPartial = event.total !== undefined && event.total !== event.done;
  return {
    name: name.endsWith(":") ? name : `${name}:`,
    amount: isPartial ? `${count(event.done)} / ${count(event.total ?? 0)}` : count(event.done),
  };
}

/** So many names of files are told at length. */
const MOST_NAMES = 50;

/** Why a step was made: nothing, one line, or at length. */
export function explanation(event: StepFinished, atLength: boolean): string[] {
  if (event.missReason === undefined) return [];
  const lines = [printable(event.missReason)];
  const details = event.missDetails;
  if (!atLength || details === undefined) return lines;
  if (details.previousInstruction !== undefined) lines.push(`was: ${printable(details.previousInstruction)}`);
  for (const [what, names] of [
    ["changed", details.changed],
    ["added", details.added],
    ["removed", details.removed],
  ] as const) {
    for (const name of names?.slice(0, MOST_NAMES) ?? []) lines.push(`${what}: ${printable(name)}`);
    if (names !== undefined && names.length > MOST_NAMES) lines.push(`${what}: ${names.length - MOST_NAMES} more`);
  }
  return lines;
}

/** The warnings of a build, as docker lists them at its end; at length with what each asks for, and the lines meant. */
export function warningLines(
  warnings: readonly Extract<BuildEvent, { type: "warning" }>[],
  { paint, debug = false }: Pick<RenderTarget, "paint" | "debug">,
): string[] {
  if (warnings.length === 0) return [];
  const count = warnings.length === 1 ? "1 warning found" : `${warnings.length} warnings found`;
  const lines = [paint.warning(` ${count}${debug ? "" : " (use --debug to expand)"}:`)];
  for (const { code, message, location, description, hint, excerpt } of warnings) {
    lines.push(` - ${printable(code)}: ${printable(message)}${location ? ` (line ${location.line})` : ""}`);
    if (!debug) continue;
    if (description !== undefined) lines.push(printable(description));
    if (hint !== undefined) lines.push(`hint: ${printable(hint)}`);
    if (excerpt !== undefined) lines.push(...excerptLines(location?.file ?? "", excerpt));
    lines.push("");
  }
  return lines;
}

/** So many lines of what a failed step printed are shown. */
const LOG_LINES_SHOWN = 200;

/** Keeps the last lines that each running step printed, to show them when it fails. */
export class LogTail {
  readonly #lines = new Map<number, string[]>();
  readonly #dropped = new Map<number, number>();
  readonly #names = new Map<number, string>();
  #failed: number | undefined;

  take(event: BuildEvent): void {
    if (event.type === "stepPlanned") this.#names.set(event.step, printable(event.name));
    else if (event.type === "stepLog") {
      const lines = this.#lines.get(event.step) ?? [];
      lines.push(printableLog(event.line));
      if (lines.length > LOG_LINES_SHOWN) {
        lines.shift();
        this.#dropped.set(event.step, (this.#dropped.get(event.step) ?? 0) + 1);
      }
      this.#lines.set(event.step, lines);
    } else if (event.type === "stepFinished") {
      if (event.status === "failed") this.#failed ??= event.step;
      else this.#lines.delete(event.step);
    }
  }

  /** What the step that failed printed, under its name, as docker shows it; empty when it printed nothing. */
  ofFailed(): string {
    const lines = this.#failed === undefined ? undefined : this.#lines.get(this.#failed);
    if (this.#failed === undefined || lines === undefined) return "";
    const dropped = this.#dropped.get(this.#failed) ?? 0;
    const more = dropped > 0 ? [`… ${dropped} lines before`] : [];
    return ["------", ` > ${this.#names.get(this.#failed) ?? ""}:`, ...more, ...lines, "------", ""].join("\n");
  }
}
