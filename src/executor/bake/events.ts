import { milliseconds } from "../elapsed.ts";
import { EventStream } from "../event-stream.ts";
import type { BuildEvent } from "../events.ts";

/** The events of several builds as those of one: steps get new numbers, and times count from the first beginning. */
export class CommonEvents {
  readonly stream = new EventStream();
  readonly #begin = milliseconds();
  #steps = 0;

  /** Milliseconds since the beginning. */
  now(): number {
    return milliseconds() - this.#begin;
  }

  started(): void {
    this.stream.push({ type: "buildStarted", at: this.now() });
  }

  warn(message: string): void {
    this.stream.push({ type: "warning", at: this.now(), code: "Bake", message });
  }

  finished(status: "done" | "failed" | "cancelled"): void {
    this.stream.push({ type: "buildFinished", at: this.now(), status });
    this.stream.end();
  }

  /** Passes the events of a build on until they end; `target` is what its steps are named by, if they need that. */
  async take(events: AsyncIterable<BuildEvent>, target: string | undefined): Promise<void> {
    const offset = this.now();
    const numbers = new Map<number, number>();
    for await (const event of events) {
      if (event.type === "buildStarted" || event.type === "buildFinished") continue;
      const at = event.at + offset;
      if (event.type === "warning") {
        const message = target === undefined ? event.message : `target ${target}: ${event.message}`;
        this.stream.push({ ...event, at, message });
        continue;
      }
      this.stream.push({ ...this.#renumbered(event, numbers, target), at });
      // Who prints waits for who reads, as in a single build.
      if (event.type === "stepLog") await this.stream.room();
    }
  }

  #renumbered(
    event: Exclude<BuildEvent, { readonly type: "buildStarted" | "buildFinished" | "warning" }>,
    numbers: Map<number, number>,
    target: string | undefined,
  ): typeof event {
    let step = numbers.get(event.step);
    if (step === undefined) {
      this.#steps += 1;
      step = this.#steps;
      numbers.set(event.step, step);
    }
    if (event.type !== "stepPlanned" || target === undefined) return { ...event, step };
    return { ...event, step, name: named(event.name, target) };
  }
}

/** `[2/4] RUN x` of a target web is `[web 2/4] RUN x`, as docker shows it. */
function named(step: string, target: string): string {
  return step.startsWith("[") ? `[${target} ${step.slice(1)}` : `[${target}] ${step}`;
}
