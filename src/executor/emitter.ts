import { KbuildError, type Location } from "../errors.ts";
import { milliseconds } from "./elapsed.ts";
import type { BuildEvent, StepFinished, StepPlanned, StepProgress } from "./events.ts";
import type { BuildWarning, BuiltStep } from "./options.ts";

type Send = (event: BuildEvent) => void;

/** Gives steps their numbers and sends their events. */
export class Emitter {
  readonly #send: Send;
  /** What a step has to wait for before it tells more lines; undefined: nothing. */
  readonly room: () => Promise<void> | undefined;
  readonly #started = milliseconds();
  #steps = 0;
  readonly finished: BuiltStep[] = [];
  readonly warnings: BuildWarning[] = [];
  readonly #warned = new Set<string>();
  readonly #open = new Set<StepReporter>();

  constructor(send: Send, room: () => Promise<void> | undefined = () => undefined) {
    this.#send = send;
    this.room = room;
  }

  /** Milliseconds since the build started. */
  now(): number {
    return milliseconds() - this.#started;
  }

  buildStarted(): void {
    this.#send({ type: "buildStarted", at: this.now() });
  }

  buildFinished(status: "done" | "failed" | "cancelled"): void {
    this.#send({ type: "buildFinished", at: this.now(), status });
  }

  /** Tells of something once, however often it is met at a place. */
  warn(
    code: string,
    message: string,
    location?: Location,
    details: Omit<BuildWarning, "code" | "message" | "location"> = {},
  ): void {
    const key = JSON.stringify([code, message, location?.line]);
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    const warning: BuildWarning = { code, message, location, ...details };
    this.warnings.push(warning);
    this.#send({ type: "warning", at: this.now(), ...warning });
  }

  plan(step: Pick<StepPlanned, "name" | "kind" | "location" | "stage">): StepReporter {
    this.#steps += 1;
    this.#send({ type: "stepPlanned", at: this.now(), step: this.#steps, ...step });
    const reporter = new StepReporter(this, this.#send, this.#steps, step.name, () => this.#open.delete(reporter));
    this.#open.add(reporter);
    return reporter;
  }

  /** Finishes the steps that were under way when the build ended badly; those that had not started are passed over. */
  finishAll(status: "failed" | "cancelled"): void {
    for (const reporter of this.#open) if (reporter.isStarted) reporter.finish({ status });
  }

  /** Runs something as a step of its own: started, and finished well or badly. */
  async run<T>(
    step: Pick<StepPlanned, "name" | "kind" | "location" | "stage">,
    work: (reporter: StepReporter) => T | Promise<T>,
  ): Promise<T> {
    const reporter = this.plan(step);
    reporter.start();
    try {
      const result = await work(reporter);
      reporter.finish({ status: "done" });
      return result;
    } catch (error) {
      const isInterruption = error instanceof KbuildError && error.code === "interrupted";
      reporter.finish({ status: isInterruption ? "cancelled" : "failed" });
      throw error;
    }
  }
}

/** The events of one step. Finishing twice, or without having started, is harmless. */
export class StepReporter {
  readonly #emitter: Emitter;
  readonly #send: Send;
  readonly #step: number;
  readonly #name: string;
  readonly #onFinish: () => void;
  #startedAt: number | undefined;
  #isFinished = false;

  constructor(emitter: Emitter, send: Send, step: number, name: string, onFinish: () => void) {
    this.#emitter = emitter;
    this.#send = send;
    this.#step = step;
    this.#name = name;
    this.#onFinish = onFinish;
  }

  get isStarted(): boolean {
    return this.#startedAt !== undefined;
  }

  start(): void {
    if (this.#startedAt !== undefined) return;
    this.#startedAt = this.#emitter.now();
    this.#send({ type: "stepStarted", at: this.#startedAt, step: this.#step });
  }

  progress(part: Pick<StepProgress, "part" | "done" | "total" | "unit" | "finished">): void {
    if (this.#isFinished) return;
    this.#send({ type: "stepProgress", at: this.#emitter.now(), step: this.#step, ...part });
  }

  /** A line that the step's process printed, or what kbuild says of it in between. */
  log(stream: "stdout" | "stderr", line: string): void {
    this.#send({ type: "stepLog", at: this.#emitter.now(), step: this.#step, stream, line });
  }

  /** What to wait for before there are more lines; undefined: nothing. */
  room(): Promise<void> | undefined {
    return this.#emitter.room();
  }

  finish(outcome: Pick<StepFinished, "status" | "missReason" | "missDetails" | "layer">): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#onFinish();
    const at = this.#emitter.now();
    this.#emitter.finished.push({
      name: this.#name,
      cached: outcome.status === "cached",
      missReason: outcome.missReason,
      duration: at - (this.#startedAt ?? at),
    });
    this.#send({ type: "stepFinished", at, step: this.#step, ...outcome });
  }
}
