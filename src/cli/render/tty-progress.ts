import type { BuildEvent, StepFinished, StepProgress } from "../../api.ts";
import { explanation, progressWords } from "./parts.ts";
import { printable, printableLog } from "./text.ts";

/** What is known of a build, from its events. */
export interface Progress {
  readonly steps: readonly StepState[];
  /** Steps that are known, begun or not. */
  readonly planned: number;
  readonly finished: number;
  readonly outcome: "running" | "done" | "failed" | "cancelled";
  /** Milliseconds that it took; undefined while it runs. */
  readonly duration: number | undefined;
}

/** A step that has begun, in the order in which they began. */
export interface StepState {
  readonly name: string;
  readonly kind: "internal" | "from" | "instruction" | "export";
  readonly startedAt: number;
  readonly finishedAt: number | undefined;
  readonly status: StepFinished["status"] | "running";
  /** Why it was not in the cache: nothing, one line, or at length. */
  readonly reasons: readonly string[];
  readonly parts: readonly PartState[];
  /** The last lines that it printed. */
  readonly logs: readonly string[];
}

export interface PartState {
  readonly name: string;
  readonly amount: string;
  /** From 0 to 1; undefined where the end is not known. */
  readonly share: number | undefined;
  readonly startedAt: number;
  readonly finishedAt: number | undefined;
}

/** So many parts of one step are kept; an image may not have more layers. */
const MOST_PARTS = 200;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface StepDraft extends Mutable<Omit<StepState, "parts" | "logs">> {
  readonly parts: Mutable<PartState>[];
  readonly logs: string[];
  readonly byPart: Map<string, Mutable<PartState>>;
  hasBegun: boolean;
}

/** Follows the events of a build. */
export class ProgressTracker implements Progress {
  readonly steps: StepDraft[] = [];
  readonly warnings: Extract<BuildEvent, { type: "warning" }>[] = [];
  planned = 0;
  finished = 0;
  outcome: Progress["outcome"] = "running";
  duration: number | undefined;
  readonly #steps = new Map<number, StepDraft>();
  readonly #explain: boolean;
  readonly #logLines: number;

  /** @param logLines how many of the last lines that a step printed are kept */
  constructor({ explain, logLines }: { readonly explain: boolean; readonly logLines: number }) {
    this.#explain = explain;
    this.#logLines = logLines;
  }

  take(event: BuildEvent): void {
    switch (event.type) {
      case "buildStarted":
        return;
      case "buildFinished":
        this.outcome = event.status;
        this.duration = event.at;
        return;
      case "warning":
        this.warnings.push(event);
        return;
      case "stepPlanned":
        this.planned += 1;
        this.#steps.set(event.step, {
          name: printable(event.name),
          kind: event.kind,
          startedAt: event.at,
          finishedAt: undefined,
          status: "running",
          reasons: [],
          parts: [],
          logs: [],
          byPart: new Map(),
          hasBegun: false,
        });
        return;
    }
    const step = this.#steps.get(event.step);
    if (step === undefined) return;
    switch (event.type) {
      case "stepStarted":
        this.#begin(step, event.at);
        return;
      case "stepProgress":
        takePart(step, event);
        return;
      case "stepLog":
        step.logs.push(printableLog(event.line));
        if (step.logs.length > this.#logLines) step.logs.shift();
        return;
      case "stepFinished":
        this.#finish(step, event);
        return;
    }
  }

  #begin(step: StepDraft, at: number): void {
    if (step.hasBegun) return;
    step.hasBegun = true;
    step.startedAt = at;
    this.steps.push(step);
  }

  #finish(step: StepDraft, event: StepFinished): void {
    // A step that was found in the cache may never have begun.
    if (event.status !== "cancelled") this.#begin(step, event.at);
    if (step.finishedAt === undefined) this.finished += 1;
    step.finishedAt = event.at;
    step.status = event.status;
    step.reasons = explanation(event, this.#explain);
  }
}

function takePart(step: StepDraft, event: StepProgress): void {
  const { total } = event;
  let part = step.byPart.get(event.part);
  if (part === undefined) {
    if (step.parts.length >= MOST_PARTS) return;
    part = { name: "", amount: "", share: undefined, startedAt: event.at, finishedAt: undefined };
    step.byPart.set(event.part, part);
    step.parts.push(part);
  }
  Object.assign(part, progressWords(event));
  part.share =
    event.unit === "none" || total === undefined || total <= 0
      ? undefined
      : Math.min(1, Math.max(0, event.done / total));
  if (event.finished) part.finishedAt ??= event.at;
}
