import { suite } from "uvu";
import * as assert from "uvu/assert";
import { reported } from "../../src/executor/context/reported.ts";
import { ListedEntries } from "../../src/executor/copy/entries.ts";
import type { SourceTree } from "../../src/executor/copy/sources.ts";
import { Emitter } from "../../src/executor/emitter.ts";
import { EventStream } from "../../src/executor/event-stream.ts";
import type { BuildEvent } from "../../src/executor/events.ts";
import { file } from "../layers/entries.ts";

const warning = (code: string): BuildEvent => ({ type: "warning", at: 0, code, message: "" });

const Stream = suite("the stream of events");

async function codes(stream: EventStream): Promise<string> {
  const seen: string[] = [];
  for await (const event of stream) if (event.type === "warning") seen.push(event.code);
  return seen.join("");
}

Stream("who comes late misses nothing", async () => {
  const stream = new EventStream();
  for (const code of "abc") stream.push(warning(code));
  stream.end();
  assert.is(await codes(stream), "abc");
  assert.is(await codes(stream), "", "what was taken is gone");
});

Stream("who waits gets each as it comes, in order", async () => {
  const stream = new EventStream();
  const reading = codes(stream);
  for (const code of "abcdef") {
    stream.push(warning(code));
    if ("bd".includes(code)) await new Promise((resolve) => setImmediate(resolve));
  }
  stream.end();
  assert.is(await reading, "abcdef");
});

Stream("what is pushed while others are taken comes after them", async () => {
  const stream = new EventStream();
  for (const code of "ab") stream.push(warning(code));
  const seen: string[] = [];
  for await (const event of stream) {
    if (event.type !== "warning") continue;
    seen.push(event.code);
    if (event.code === "a") stream.push(warning("c"));
    if (event.code === "c") stream.end();
  }
  assert.equal(seen, ["a", "b", "c"]);
});

Stream("a million events", async () => {
  const stream = new EventStream();
  for (let number = 0; number < 1_000_000; number++) stream.push(warning("x"));
  stream.end();
  let count = 0;
  for await (const _ of stream) count += 1;
  assert.is(count, 1_000_000);
});

Stream.run();

const Emit = suite("steps and their events");

function emitter() {
  const events: BuildEvent[] = [];
  const shown = () =>
    events.map((event) =>
      [event.type, "step" in event ? event.step : "", "status" in event ? event.status : ""]
        .filter((part) => part !== "")
        .join(" "),
    );
  return { events, shown, emitter: new Emitter((event) => events.push(event)) };
}

Emit("steps are numbered as they become known", () => {
  const { emitter: emit, shown } = emitter();
  emit.buildStarted();
  const [one, two] = [emit.plan({ name: "one", kind: "instruction" }), emit.plan({ name: "two", kind: "export" })];
  two.start();
  two.finish({ status: "done" });
  one.start();
  one.finish({ status: "cached" });
  emit.buildFinished("done");
  assert.equal(shown(), [
    "buildStarted",
    "stepPlanned 1",
    "stepPlanned 2",
    "stepStarted 2",
    "stepFinished 2 done",
    "stepStarted 1",
    "stepFinished 1 cached",
    "buildFinished done",
  ]);
  assert.equal(
    emit.finished.map(({ name, cached }) => [name, cached]),
    [
      ["two", false],
      ["one", true],
    ],
  );
});

Emit("a step starts once and finishes once, and then is silent", () => {
  const { emitter: emit, shown } = emitter();
  const step = emit.plan({ name: "x", kind: "internal" });
  for (let again = 0; again < 2; again++) {
    step.start();
    step.progress({ part: "p", done: 1, unit: "bytes", finished: false });
  }
  for (let again = 0; again < 2; again++) {
    step.finish({ status: again === 0 ? "failed" : "done" });
    step.progress({ part: "p", done: 2, unit: "bytes", finished: true });
  }
  assert.equal(shown(), [
    "stepPlanned 1",
    "stepStarted 1",
    "stepProgress 1",
    "stepProgress 1",
    "stepFinished 1 failed",
  ]);
  assert.is(emit.finished.length, 1);
});

Emit("at a bad end the steps under way are finished, and those not begun passed over", () => {
  const { emitter: emit, shown } = emitter();
  const [a, b, c] = ["a", "b", "c"].map((name) => emit.plan({ name, kind: "instruction" }));
  a?.start();
  b?.start();
  b?.finish({ status: "done" });
  emit.finishAll("cancelled");
  emit.finishAll("failed");
  assert.equal(shown().slice(-2), ["stepFinished 2 done", "stepFinished 1 cancelled"]);
  assert.is(c?.isStarted, false);
});

Emit("a warning is told once for a place", () => {
  const { emitter: emit, events } = emitter();
  emit.warn("A", "x");
  emit.warn("A", "x");
  for (const line of [1, 2, 1]) emit.warn("A", "x", { file: "Dockerfile", line, column: 1 }, { hint: "h" });
  emit.warn("A", "y");
  emit.warn("B", "x");
  assert.is(events.length, 5);
  assert.equal(
    emit.warnings.map(({ code, message, location, hint }) => [code, message, location?.line, hint]),
    [
      ["A", "x", undefined, undefined],
      ["A", "x", 1, "h"],
      ["A", "x", 2, "h"],
      ["A", "y", undefined, undefined],
      ["B", "x", undefined, undefined],
    ],
  );
});

Emit("work as a step of its own ends well or badly with it", async () => {
  const { emitter: emit, shown } = emitter();
  assert.is(await emit.run({ name: "good", kind: "internal" }, async () => 7), 7);
  const failure = new Error("no");
  try {
    await emit.run({ name: "bad", kind: "internal" }, () => {
      throw failure;
    });
    assert.unreachable("it was well");
  } catch (error) {
    assert.is(error, failure);
  }
  assert.equal(
    shown().filter((line) => line.startsWith("stepFinished")),
    ["stepFinished 1 done", "stepFinished 2 failed"],
  );
});

Emit("the first reading of the context is shown, with the number of its files", async () => {
  const { emitter: emit, events } = emitter();
  const source = { entry: file("a"), origin: undefined, group: undefined };
  const tree: SourceTree = {
    label: "x",
    roots: [],
    blobs: [],
    select: async () => [
      {
        kind: "found",
        matches: [{ ...source, asked: "a", below: new ListedEntries([source, source], (each) => each) }],
      },
      { kind: "missing", rule: 1 },
    ],
    neighbours: async () => ["near"],
  };
  const shownTree = reported(tree, emit);
  await shownTree.select([], false);
  const first = events.length;
  await shownTree.select([], false);
  assert.is(events.length, first);
  const progress = events.find((event) => event.type === "stepProgress");
  assert.is(progress?.type === "stepProgress" && progress.done, 3);
  assert.equal(await shownTree.neighbours(""), ["near"]);
});

Emit.run();
