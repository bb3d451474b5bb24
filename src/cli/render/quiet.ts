import type { BuildEvent } from "../../api.ts";
import type { Failure } from "./parts.ts";
import { LogTail, type RenderTarget } from "./parts.ts";

/** Shows nothing, but what a step that failed had printed. */
export async function renderQuiet(
  events: AsyncIterable<BuildEvent>,
  failure: Failure,
  target: RenderTarget,
): Promise<void> {
  const logs = new LogTail();
  for await (const event of events) logs.take(event);
  if ((await failure) !== undefined) target.write(logs.ofFailed());
}
