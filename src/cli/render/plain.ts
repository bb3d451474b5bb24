import type { BuildEvent, StepFinished, StepProgress } from "../../api.ts";
import { explanation, type Failure, progressText, type RenderTarget, warningLines } from "./parts.ts";
import { printable, printableLog, seconds } from "./text.ts";

/** Between two reports of one part's progress, milliseconds. */
const REPORT_EVERY = 5_000;
/** How long a step that printed something keeps others waiting, milliseconds. */
const KEEP = 500;
/** So many lines of a waiting step are held back at most. */
const HELD_LINES = 200;

interface Step {
  readonly name: string;
  /** The number it has in the output, given when it is first seen there. */
  index: number | undefined;
  startedAt: number | undefined;
  isFinished: boolean;
  readonly held: string[];
  /** When each part was last reported. */
  readonly reported: Map<string, number>;
}

/**
 * One line after the other, as `docker build --progress=plain` prints them: `#7 [2/3] WORKDIR /web-ping`, `#7 CACHED`.
 * Lines of steps that run at the same time are kept together where that does not hold them back for long.
 */
export async function renderPlain(
  events: AsyncIterable<BuildEvent>,
  failure: Failure,
  target: RenderTarget,
): Promise<void> {
  const printer = new PlainPrinter(target);
  for await (const event of events) printer.take(event);
  printer.end(await failure);
}

class PlainPrinter {
  readonly #target: RenderTarget;
  readonly #steps = new Map<number, Step>();
  readonly #warnings: Extract<BuildEvent, { type: "warning" }>[] = [];
  #current: Step | undefined;
  #lastPrintedAt = 0;
  #numbers = 0;
  #failed: Step | undefined;

  constructor(target: RenderTarget) {
    this.#target = target;
  }

  take(event: BuildEvent): void {
    switch (event.type) {
      case "buildStarted":
      case "buildFinished":
        return;
      case "warning":
        this.#warnings.push(event);
        return;
      case "stepPlanned":
        this.#steps.set(event.step, {
          name: printable(event.name),
          index: undefined,
          startedAt: undefined,
          isFinished: false,
          held: [],
          reported: new Map(),
        });
        return;
    }
    const step = this.#steps.get(event.step);
    if (step === undefined) return;
    switch (event.type) {
      case "stepStarted":
        step.startedAt = event.at;
        if (this.#current === undefined) this.#say(step, [], event.at);
        return;
      case "stepProgress":
        this.#progress(step, event);
        return;
      case "stepLog":
        this.#say(
          step,
          [`${((event.at - (step.startedAt ?? 0)) / 1000).toFixed(3)} ${printableLog(event.line)}`],
          event.at,
        );
        return;
      case "stepFinished":
        this.#finish(step, event);
        return;
    }
  }

  /** Says how it ended. */
  end(message: string | undefined): void {
    if (this.#failed !== undefined) {
      this.#write(this.#failed, [`ERROR: ${printable((message ?? "it failed").split("\n")[0] ?? "")}`]);
    }
    const lines = warningLines(this.#warnings, this.#target);
    if (lines.length > 0) this.#target.write(`\n${lines.join("\n")}\n`);
  }

  #progress(step: Step, event: StepProgress): void {
    const last = step.reported.get(event.part);
    if (
      !event.finished &&
      (last === undefined ? event.done === 0 || event.unit === "none" : event.at - last < REPORT_EVERY)
    ) {
      if (last === undefined) step.reported.set(event.part, event.at);
      return;
    }
    step.reported.set(event.part, event.at);
    const duration = event.at - (step.startedAt ?? event.at);
    const time = duration >= 100 ? ` ${seconds(duration)}` : "";
    this.#say(step, [`${progressText(event)}${time}${event.finished ? " done" : ""}`], event.at);
  }

  #finish(step: Step, event: StepFinished): void {
    step.isFinished = true;
    const lines = explanation(event, this.#target.explain).map((line, number) =>
      number === 0 ? `why: ${line}` : `  ${line}`,
    );
    if (event.status === "failed") {
      if (this.#failed === undefined) this.#failed = step;
      if (lines.length > 0 || step.held.length > 0) this.#write(step, lines);
    } else {
      const words = {
        done: `DONE ${seconds(event.at - (step.startedAt ?? event.at))}`,
        cached: "CACHED",
        cancelled: "CANCELED",
      };
      this.#write(step, [...lines, words[event.status]]);
    }
    this.#lastPrintedAt = event.at;
    // One that failed keeps the floor: the reason follows under its name, at the end.
    if (this.#current !== step || event.status === "failed") return;
    this.#current = undefined;
    const waiting = [...this.#steps.values()].filter((other) => other.startedAt !== undefined && !other.isFinished);
    const next = waiting.find((other) => other.held.length > 0) ?? waiting.find((other) => other.index === undefined);
    if (next) this.#write(next, []);
  }

  /** Prints lines of a step, or holds them back while another step has the floor. */
  #say(step: Step, lines: readonly string[], at: number): void {
    const isBusy = this.#current !== undefined && this.#current !== step && at - this.#lastPrintedAt < KEEP;
    if (isBusy && step.held.length < HELD_LINES) {
      step.held.push(...lines);
      return;
    }
    this.#write(step, lines);
    this.#lastPrintedAt = at;
  }

  #write(step: Step, lines: readonly string[]): void {
    let text = "";
    if (this.#current !== step) {
      if (this.#current !== undefined && !this.#current.isFinished) text += `#${this.#current.index} ...\n`;
      if (this.#numbers > 0) text += "\n";
      if (step.index === undefined) {
        this.#numbers += 1;
        step.index = this.#numbers;
      }
      text += `#${step.index} ${step.name}\n`;
      this.#current = step;
    }
    for (const line of [...step.held.splice(0), ...lines]) text += `#${step.index} ${line}\n`;
    if (text !== "") this.#target.write(text);
  }
}
