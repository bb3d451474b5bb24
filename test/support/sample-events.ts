import type { BuildEvent, StepFinished, StepPlanned } from "../../src/executor/events.ts";

type Kind = StepPlanned["kind"];
type Fact<T> = Omit<T, "type" | "at" | "step">;

/** Makes the events of a build, one after the other. */
export class EventScript {
  readonly events: BuildEvent[] = [{ type: "buildStarted", at: 0 }];
  #steps = 0;

  plan(at: number, kind: Kind, name: string): number {
    this.#steps += 1;
    this.events.push({ type: "stepPlanned", at, step: this.#steps, name, kind });
    return this.#steps;
  }

  start(at: number, step: number): void {
    this.events.push({ type: "stepStarted", at, step });
  }

  begin(at: number, kind: Kind, name: string): number {
    const step = this.plan(at, kind, name);
    this.start(at, step);
    return step;
  }

  /** Progress in bytes. */
  bytes(at: number, step: number, part: string, done: number, total?: number, finished = false): void {
    this.events.push({ type: "stepProgress", at, step, part, done, total, unit: "bytes", finished });
  }

  tell(at: number, step: number, part: string): void {
    this.events.push({ type: "stepProgress", at, step, part, done: 0, unit: "none", finished: true });
  }

  log(at: number, step: number, line: string): void {
    this.events.push({ type: "stepLog", at, step, stream: "stdout", line });
  }

  finish(
    at: number,
    step: number,
    status: StepFinished["status"] = "done",
    facts: Partial<Fact<StepFinished>> = {},
  ): void {
    this.events.push({ type: "stepFinished", at, step, status, ...facts });
  }

  warn(at: number, code: string, message: string, line: number): void {
    this.events.push({ type: "warning", at, code, message, location: { file: "Dockerfile", line, column: 1 } });
  }

  end(at: number, status: "done" | "failed" | "cancelled" = "done"): readonly BuildEvent[] {
    this.events.push({ type: "buildFinished", at, status });
    return this.events;
  }
}

export const LAYER_ONE: string = `sha256:${"1a".repeat(32)}`;
export const LAYER_TWO: string = `sha256:${"2b".repeat(32)}`;

/** A build that pulls its base, finds one step in the cache, makes another, and is exported. */
export function webPing(): EventScript {
  const script = new EventScript();
  const file = script.begin(2, "internal", "[internal] load build definition from Dockerfile");
  script.bytes(5, file, "transferring dockerfile", 312, 312, true);
  script.finish(8, file);
  const metadata = script.begin(8, "internal", "[internal] load metadata for docker.io/diamol/node:latest");
  script.finish(460, metadata);
  const from = script.plan(461, "from", "[1/3] FROM docker.io/diamol/node:latest");
  const workdir = script.plan(461, "instruction", "[2/3] WORKDIR /web-ping");
  const copy = script.plan(461, "instruction", "[3/3] COPY app.js .");
  script.start(461, from);
  const context = script.begin(465, "internal", "[internal] load build context");
  script.bytes(470, context, "transferring context", 846, 846, true);
  script.finish(472, context);
  script.bytes(600, from, LAYER_ONE, 0, 45_380_000);
  script.bytes(640, from, LAYER_TWO, 2_810_000, 2_810_000, true);
  script.bytes(1500, from, LAYER_ONE, 12_580_000, 45_380_000);
  script.bytes(2400, from, LAYER_ONE, 45_380_000, 45_380_000, true);
  script.finish(2410, from);
  script.finish(2411, workdir, "cached");
  script.start(2412, copy);
  script.finish(2450, copy, "done", { missReason: "app.js was changed" });
  script.warn(2451, "JSONArgsRecommended", "JSON arguments recommended for CMD", 9);
  const output = script.begin(2452, "export", "exporting to image");
  script.tell(2460, output, "exporting layers");
  script.tell(2465, output, "naming to docker.io/library/web-ping:v2");
  script.finish(2470, output);
  return script;
}

/** A build whose second step fails, after it printed something. */
export function failing(): readonly BuildEvent[] {
  const script = new EventScript();
  const from = script.plan(1, "from", "[1/3] FROM scratch");
  const run = script.plan(1, "instruction", "[2/3] RUN make");
  const copy = script.plan(1, "instruction", "[3/3] COPY a /");
  script.start(1, from);
  script.finish(3, from, "cached");
  script.start(4, run);
  for (let line = 1; line <= 8; line += 1) script.log(100 * line, run, `line ${line}\u001b[31m red\u001b[0m`);
  script.finish(900, run, "failed");
  script.finish(900, copy, "cancelled");
  return script.end(901, "failed");
}

/** The events as the engine hands them out. */
export async function* streamed(events: readonly BuildEvent[]): AsyncGenerator<BuildEvent> {
  yield* events;
}
