import type { BuildEvent } from "../api.ts";

/**
 * Passes a build's events on. While layers are pulled V8 does not mark its heap step by step: what comes from a registry
 * lies outside of the heap, and V8 takes much of it for a reason to begin, every few MB, which is a fifth of all that a
 * pull computes. Looking at the newest objects alone frees it as well. At other times marking keeps the memory small.
 * `setFlags` sets flags of V8.
 */
export async function* sparingPulls(
  events: AsyncIterable<BuildEvent>,
  setFlags: (flags: string) => unknown = async (flags) => (await import("node:v8")).setFlagsFromString(flags),
): AsyncIterable<BuildEvent> {
  const pulled = new Set<string>();
  const mark = async (isOn: boolean) => setFlags(isOn ? "--incremental-marking" : "--no-incremental-marking");
  try {
    for await (const event of events) {
      const before = pulled.size;
      follow(event, pulled);
      if (pulled.size > 0 !== before > 0) await mark(pulled.size === 0);
      yield event;
    }
  } finally {
    if (pulled.size > 0) await mark(true);
  }
}

function follow(event: BuildEvent, pulled: Set<string>): void {
  if (event.type !== "stepProgress" || event.unit !== "bytes" || !event.part.startsWith("sha256:")) return;
  if (event.finished) pulled.delete(event.part);
  else pulled.add(event.part);
}
