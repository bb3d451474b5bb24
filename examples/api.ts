/**
 * Builds a folder with kbuild's TypeScript API and tells what happened:
 *
 *     node --import tsx examples/api.ts [FOLDER [TAG]]
 *
 * Three things are shown: the events of a build while it runs, how a build is stopped (Ctrl-C), and what it gives.
 */
import { build, KbuildError } from "kbuild";

const [context = "examples/web-ping", tag = "web-ping:api"] = process.argv.slice(2);

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const running = build({ context, tags: [tag], signal: stop.signal });

const names = new Map<number, string>();
for await (const event of running.events) {
  switch (event.type) {
    case "stepPlanned":
      names.set(event.step, event.name);
      break;
    case "stepFinished":
      console.log(`${event.status.padEnd(9)} ${names.get(event.step) ?? event.step}`);
      if (event.missReason !== undefined) console.log(`          ${event.missReason}`);
      break;
    case "warning":
      console.log(`warning   ${event.message}`);
      break;
  }
}

try {
  const result = await running;
  console.log(`image     ${result.imageId}`);
  console.log(`digest    ${result.digest}`);
  for (const layer of result.layers) console.log(`layer     ${layer.diffId} ${layer.size} bytes`);
  console.log(`${result.steps.filter((step) => step.cached).length} of ${result.steps.length} steps were cached`);
  console.log(`took      ${Math.round(result.duration)} ms`);
} catch (error) {
  if (!(error instanceof KbuildError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  if (error.location) console.error(`at ${error.location.file}:${error.location.line}:${error.location.column}`);
  if (error.hint) console.error(error.hint);
  process.exitCode = error.exitStatus;
}
