import { cut, padEnd, seconds, widthOf } from "./text.ts";
import type { PartState, Progress, StepState } from "./tty-progress.ts";

/** A line of the view: its text, without codes, and how it is painted. */
export interface Line {
  readonly text: string;
  readonly tone: "plain" | "finished" | "running" | "error" | "warning" | "dim";
}

export interface Screen {
  readonly columns: number;
  /** The most lines that may be shown; undefined: all of them. */
  readonly rows: number | undefined;
}

export const LEAST_COLUMNS = 20;
/** Below so many columns there is no room for bars. */
const LEAST_FOR_BARS = 80;
const BAR = 20;

/**
 * docker's view of a build: the headline, a line for each step that has begun, below those that run how far their parts
 * are and what they print, below those that missed the cache why. Where there are too few rows, the oldest steps that
 * are finished go first.
 *
 * @param now milliseconds since the build began
 */
export function layout(progress: Progress, now: number, screen: Screen): Line[] {
  const columns = Math.max(LEAST_COLUMNS, screen.columns);
  const blocks = progress.steps.map((step) => ({
    isFinished: step.status !== "running",
    lines: stepLines(step, now, columns),
  }));
  const head: Line = { text: cut(headline(progress, now), columns), tone: "plain" };
  if (screen.rows === undefined) return [head, ...blocks.flatMap(({ lines }) => lines)];
  const room = Math.max(1, screen.rows) - 1;
  return [head, ...fitted(blocks, room)];
}

interface Block {
  readonly isFinished: boolean;
  readonly lines: readonly Line[];
}

/** What of the steps fits: those that run, at least with their first line, and of the finished ones the newest. */
function fitted(blocks: readonly Block[], room: number): Line[] {
  let left = blocks.reduce((sum, { lines }) => sum + lines.length, 0) - room;
  const kept = blocks.map(({ lines }) => lines.length);
  const shorten = (isFinished: boolean, least: number): void => {
    for (const [number, block] of blocks.entries()) {
      if (left <= 0) return;
      if (block.isFinished !== isFinished) continue;
      const taken = Math.min(left, Math.max(0, (kept[number] ?? 0) - least));
      kept[number] = (kept[number] ?? 0) - taken;
      left -= taken;
    }
  };
  shorten(true, 0);
  shorten(false, 1);
  shorten(false, 0);
  return blocks.flatMap(({ lines }, number) => lines.slice(0, kept[number]));
}

function headline({ outcome, planned, finished, duration }: Progress, now: number): string {
  const words = { running: "", done: " FINISHED", failed: " FAILED", cancelled: " CANCELED" };
  return `[+] Building ${seconds(duration ?? now)} (${finished}/${planned})${words[outcome]}`;
}

function stepLines(step: StepState, now: number, columns: number): Line[] {
  const { tone, word } = LOOKS[step.status];
  const time = seconds((step.finishedAt ?? now) - step.startedAt);
  const lines: Line[] = [{ text: timed(` => ${word}${step.name}`, time, columns), tone }];
  for (const part of partsShown(step)) lines.push({ text: partLine(part, now, columns), tone });
  if (step.status === "running") {
    for (const log of step.logs) lines.push({ text: cut(` => => # ${log}`, columns), tone: "plain" });
  }
  for (const [number, reason] of step.reasons.entries()) {
    lines.push({ text: cut(`    ${number === 0 ? "why: " : "  "}${reason}`, columns), tone: "dim" });
  }
  return lines;
}

const LOOKS = {
  running: { tone: "running", word: "" },
  done: { tone: "finished", word: "" },
  cached: { tone: "finished", word: "CACHED " },
  failed: { tone: "error", word: "ERROR " },
  cancelled: { tone: "warning", word: "CANCELED " },
} as const;

/** Of finished steps, only those of kbuild's own work keep what it came to: sizes of what was read, names given. */
function partsShown({ status, kind, parts }: StepState): readonly PartState[] {
  if (status === "running") return parts;
  return status === "done" && (kind === "internal" || kind === "export") ? parts : [];
}

function partLine(part: PartState, now: number, columns: number): string {
  const time = seconds((part.finishedAt ?? now) - part.startedAt);
  const text = ` => => ${part.name}${part.amount === "" ? "" : ` ${part.amount}`}`;
  if (part.share === undefined || part.finishedAt !== undefined || columns < LEAST_FOR_BARS)
    return timed(text, time, columns);
  const filled = Math.round(part.share * BAR);
  const bar = `[${"=".repeat(Math.max(0, filled - 1))}${filled > 0 ? ">" : ""}${" ".repeat(BAR - filled)}]`;
  return timed(text, `${bar} ${time}`, columns);
}

/** Text at the left, a time at the right; the text is cut where they meet. */
function timed(text: string, time: string, columns: number): string {
  const room = columns - widthOf(time) - 1;
  return `${padEnd(cut(text, room), room)} ${time}`;
}
