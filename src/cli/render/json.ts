import type { BuildEvent, KbuildError } from "../../api.ts";
import type { RenderTarget } from "./parts.ts";
import { printableJson } from "./text.ts";

/** One event a line, as the engine gives them. */
export async function renderJson(events: AsyncIterable<BuildEvent>, target: RenderTarget): Promise<void> {
  for await (const event of events) target.write(jsonLine(event));
}

/** The error that ended a build, as the last line. */
export function jsonError(error: KbuildError, exitStatus: number): string {
  const { code, message, location, hint } = error;
  return jsonLine({ type: "error", code, message, location, hint, exitStatus });
}

/** A value as one line of JSON. */
export function jsonLine(value: unknown): string {
  return `${printableJson(JSON.stringify(value))}\n`;
}
