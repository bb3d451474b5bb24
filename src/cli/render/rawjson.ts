import { createHash } from "node:crypto";
import type { BuildEvent, StepFinished, StepLog, StepPlanned, StepProgress, WarningRaised } from "../../api.ts";
import { jsonLine } from "./json.ts";
import type { Failure, RenderTarget } from "./parts.ts";

/**
 * One object a line as BuildKit's clients read them: vertexes, statuses, logs and warnings. A vertex is a step; its digest
 * stands for its number and name, since kbuild has no graph of BuildKit's kind. docker buildx build, "--progress=rawjson".
 */
export async function renderRawJson(
  events: AsyncIterable<BuildEvent>,
  failure: Failure,
  target: RenderTarget,
): Promise<void> {
  const steps = new RawSteps(target);
  let last: number | undefined;
  for await (const event of events) {
    switch (event.type) {
      case "stepPlanned":
        steps.plan(event);
        break;
      case "stepStarted":
        steps.vertex(event.step, { started: steps.time(event.at) });
        break;
      case "stepProgress":
        steps.status(event);
        break;
      case "stepLog":
        steps.log(event);
        break;
      case "stepFinished":
        if (event.status === "failed") last = event.step;
        steps.finish(event);
        break;
      case "warning":
        steps.warn(event);
        break;
      case "buildStarted":
      case "buildFinished":
        break;
    }
  }
  const reason = await failure;
  if (reason !== undefined && last !== undefined) steps.vertex(last, { error: reason });
}

/** Members of a vertex besides those that it always has. Times are RFC 3339. */
interface Vertex {
  readonly started?: string;
  readonly completed?: string;
  readonly cached?: boolean;
  readonly error?: string;
}

class RawSteps {
  readonly #target: RenderTarget;
  readonly #begun = Date.now();
  readonly #steps = new Map<number, { readonly digest: string; readonly name: string; vertex: Vertex }>();
  readonly #parts = new Map<string, string>();

  constructor(target: RenderTarget) {
    this.#target = target;
  }

  /** From milliseconds since the build began. */
  time(at: number): string {
    return new Date(this.#begun + at).toISOString();
  }

  plan({ step, name }: StepPlanned): void {
    const digest = `sha256:${createHash("sha256").update(`${step} ${name}`).digest("hex")}`;
    this.#steps.set(step, { digest, name, vertex: {} });
    this.vertex(step, {});
  }

  vertex(step: number, news: Vertex): void {
    const known = this.#steps.get(step);
    if (known === undefined) return;
    known.vertex = { ...known.vertex, ...news };
    this.#write({ vertexes: [{ digest: known.digest, name: known.name, ...known.vertex }] });
  }

  finish({ step, at, status }: StepFinished): void {
    const cached = status === "cached" ? { cached: true } : {};
    const error = status === "cancelled" ? { error: "context canceled" } : {};
    this.vertex(step, { completed: this.time(at), ...cached, ...error });
  }

  status({ step, at, part, done, total, finished }: StepProgress): void {
    const timestamp = this.time(at);
    const key = `${step} ${part}`;
    const started = this.#parts.get(key) ?? timestamp;
    this.#parts.set(key, started);
    const counts = { ...(total === undefined ? {} : { total }), current: done };
    const completed = finished ? { completed: timestamp } : {};
    this.#write({ statuses: [{ id: part, vertex: this.#digest(step), ...counts, timestamp, started, ...completed }] });
  }

  log({ step, at, stream, line }: StepLog): void {
    const data = Buffer.from(`${line}\n`).toString("base64");
    const number = stream === "stdout" ? 1 : 2;
    this.#write({ logs: [{ vertex: this.#digest(step), stream: number, data, timestamp: this.time(at) }] });
  }

  warn({ code, message, location }: WarningRaised): void {
    const short = Buffer.from(`${code}: ${message}`).toString("base64");
    const position = (line: number, character: number) => ({ line, character: character - 1 });
    const range =
      location === undefined
        ? []
        : [
            {
              start: position(location.line, location.column),
              end: position(location.end?.line ?? location.line, location.end?.column ?? location.column),
            },
          ];
    const place = location === undefined ? {} : { sourceInfo: { filename: location.file }, range };
    this.#write({ warnings: [{ level: 1, short, ...place }] });
  }

  #digest(step: number): string | undefined {
    return this.#steps.get(step)?.digest;
  }

  #write(value: object): void {
    this.#target.write(jsonLine(value));
  }
}
