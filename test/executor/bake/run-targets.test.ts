import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import type { TargetBuild } from "../../../src/executor/bake/build-options.ts";
import { CommonEvents } from "../../../src/executor/bake/events.ts";
import { runTargets } from "../../../src/executor/bake/run-targets.ts";
import type { BuildEvent } from "../../../src/executor/events.ts";
import type { Build, BuildOptions, BuildResult } from "../../../src/executor/options.ts";
import type { Digest } from "../../../src/oci/types.ts";

const Targets = suite("targets that run together");

/** A build that a test lets end, one way or the other. */
interface Running {
  readonly options: BuildOptions;
  readonly end: (error?: Error) => void;
}

/** Starts targets on an engine that does nothing by itself. */
function started(
  targets: Readonly<Record<string, { readonly links?: Record<string, string> }>>,
  settings: { readonly jobs?: number; readonly signal?: AbortSignal; readonly events?: readonly BuildEvent[] } = {},
) {
  const running = new Map<string, Running>();
  const begun: string[] = [];
  const events = new CommonEvents();
  const builds = Object.entries(targets).map(([name, { links = {} }]): [string, TargetBuild] => [
    name,
    { options: { context: name }, links, needs: Object.values(links) },
  ]);
  const build = (options: BuildOptions): Build => {
    const name = String(options.context);
    begun.push(name);
    const promise = new Promise<BuildResult>((resolve, reject) => {
      const end = (error?: Error): void => (error === undefined ? resolve(resultOf(name)) : reject(error));
      running.set(name, { options, end });
      options.signal?.addEventListener("abort", () =>
        reject(new KbuildError("interrupted", "the build was interrupted")),
      );
    });
    promise.catch(() => undefined);
    return {
      events: (async function* () {
        yield* settings.events ?? [];
        await promise.catch(() => undefined);
      })(),
      // biome-ignore lint/suspicious/noThenProperty: a build can be awaited
      then: (done, failed) => promise.then(done, failed),
      catch: (handler) => promise.catch(handler),
      finally: (handler) => promise.finally(handler),
    };
  };
  const { jobs = 10, signal } = settings;
  const outcome = runTargets(new Map(builds), events, { root: "/store", jobs, signal, build });
  outcome.catch(() => undefined);
  return { running, begun, events, outcome };
}

function digestOf(name: string): Digest {
  return `sha256:${Buffer.from(name).toString("hex").padEnd(64, "0")}`;
}

function resultOf(name: string): BuildResult {
  const digest = digestOf(name);
  const descriptor = { mediaType: "x", digest, size: 1 };
  return { digest, imageId: digest, descriptor, tags: [], layers: [], steps: [], warnings: [], duration: 1 };
}

/** Lets everything happen that can. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "it went well",
    (error: Error) => error.message,
  );

Targets("those that need others begin when these are there, and find them in the store", async () => {
  const { running, begun, outcome } = started({ app: { links: { b: "base" } }, base: {}, other: {} });
  await settle();
  assert.equal(begun, ["base", "other"]);
  running.get("base")?.end();
  await settle();
  assert.equal(begun, ["base", "other", "app"]);
  assert.equal(running.get("app")?.options.buildContexts, { b: `oci-layout:///store@${digestOf("base")}` });
  for (const { end } of running.values()) end();
  assert.equal([...(await outcome).keys()], ["app", "base", "other"]);
});

Targets("so many as was asked for run at the same time", async () => {
  const { running, begun, outcome } = started({ a: {}, b: {}, c: {} }, { jobs: 2 });
  await settle();
  assert.equal(begun, ["a", "b"]);
  running.get("b")?.end();
  await settle();
  assert.equal(begun, ["a", "b", "c"]);
  for (const { end } of running.values()) end();
  assert.is((await outcome).size, 3);
});

Targets("the first that fails stops the others, those that wait too, and its error names it", async () => {
  const { running, begun, outcome } = started({ a: {}, b: {}, c: { links: { x: "b" } }, d: {} }, { jobs: 2 });
  await settle();
  running.get("b")?.end(new KbuildError("build.step", "it failed", { hint: "mend it" }));
  assert.is(await messageOf(outcome), "target b: it failed");
  assert.equal(begun, ["a", "b"]);
  assert.is(running.get("a")?.options.signal?.aborted, true);
  assert.is(await outcome.catch((error: KbuildError) => error.hint), "mend it");
});

Targets("the error of one target alone is its own", async () => {
  const { running, outcome } = started({ a: {} });
  await settle();
  running.get("a")?.end(new KbuildError("build.step", "it failed"));
  assert.is(await messageOf(outcome), "it failed");
});

Targets("an interruption stops all, and is no failure of one", async () => {
  const stopping = new AbortController();
  const { outcome } = started({ a: {}, b: {} }, { signal: stopping.signal });
  await settle();
  stopping.abort();
  assert.is(await outcome.catch((error: KbuildError) => error.code), "interrupted");
  assert.is(await messageOf(outcome), "the build was interrupted");
});

const EVENTS: readonly BuildEvent[] = [
  { type: "buildStarted", at: 0 },
  { type: "stepPlanned", at: 1, step: 1, name: "[1/2] FROM x", kind: "from" },
  { type: "stepPlanned", at: 1, step: 2, name: "exporting to image", kind: "export" },
  { type: "warning", at: 2, code: "W", message: "odd" },
  { type: "stepStarted", at: 3, step: 2 },
  { type: "buildFinished", at: 4, status: "done" },
];

/** The events of what ran, without their times. */
async function told(names: readonly string[]) {
  const { running, events, outcome } = started(Object.fromEntries(names.map((name) => [name, {}])), { events: EVENTS });
  await settle();
  for (const { end } of running.values()) end();
  await outcome;
  events.finished("done");
  const found: string[] = [];
  for await (const event of events.stream) {
    if (event.type === "stepPlanned") found.push(`${event.step} ${event.name}`);
    else if (event.type === "stepStarted") found.push(`${event.step} starts`);
    else if (event.type === "warning") found.push(event.message);
    else found.push(event.type);
  }
  return found;
}

Targets("steps of several have numbers of their own, and the target in front of their names", async () => {
  const found = await told(["a", "b"]);
  assert.is(found.pop(), "buildFinished");
  const planned = found.filter((line) => /^\d+ \[/.test(line));
  assert.equal(planned.map((line) => line[0]).sort(), ["1", "2", "3", "4"]);
  assert.equal(planned.map((line) => line.slice(2)).sort(), [
    "[a 1/2] FROM x",
    "[a] exporting to image",
    "[b 1/2] FROM x",
    "[b] exporting to image",
  ]);
  for (const name of ["a", "b"]) {
    const number = planned.find((line) => line.endsWith(`[${name}] exporting to image`))?.[0];
    assert.ok(found.includes(`${number} starts`) && found.includes(`target ${name}: odd`), found.join("\n"));
  }
});

Targets("steps of one alone are called as in a build", async () => {
  assert.equal(await told(["a"]), ["1 [1/2] FROM x", "2 exporting to image", "odd", "2 starts", "buildFinished"]);
});

Targets.run();
