import { test } from "uvu";
import * as assert from "uvu/assert";
import type { BuildEvent } from "../../src/api.ts";
import { sparingPulls } from "../../src/cli/pull-heap.ts";

function pull(part: string, finished: boolean): BuildEvent {
  return { type: "stepProgress", at: 0, step: 1, part, done: 1, total: 2, unit: "bytes", finished };
}

async function told(events: readonly BuildEvent[], until = Number.POSITIVE_INFINITY): Promise<readonly string[]> {
  const seen: string[] = [];
  async function* source() {
    yield* events;
  }
  let count = 0;
  for await (const event of sparingPulls(source(), (flags) => seen.push(flags))) {
    assert.is(event, events[count]);
    count += 1;
    if (count === until) break;
  }
  assert.is(count, Math.min(events.length, until));
  return seen;
}

const OFF = "--no-incremental-marking";
const ON = "--incremental-marking";

test("marking is off from the first layer that is pulled to the end of the last", async () => {
  const start: BuildEvent = { type: "buildStarted", at: 0 };
  const context = pull("transferring context", false);
  assert.equal(await told([start, context, start]), []);
  const [first, second] = [pull("sha256:1", false), pull("sha256:2", false)];
  const ended = [pull("sha256:1", true), pull("sha256:2", true)];
  assert.equal(await told([start, first, second, first, ...ended, start]), [OFF, ON]);
  assert.equal(await told([first, pull("sha256:1", true), second, pull("sha256:2", true)]), [OFF, ON, OFF, ON]);
});

test("marking is on again when a pull is broken off, or nobody listens any more", async () => {
  assert.equal(await told([pull("sha256:1", false)]), [OFF, ON]);
  assert.equal(await told([pull("sha256:1", false), pull("sha256:1", false)], 1), [OFF, ON]);
});

test.run();
