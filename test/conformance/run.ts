/**
 * For developers: builds the cases and prints every difference from BuildKit.
 *
 *     node --import tsx test/conformance/run.ts [--cli] [--all] [PART OF A NAME...]
 *
 * `--cli` goes through the command line, `--all` prints the cases that agree as well.
 */
import * as path from "node:path";
import { workspace } from "../support/workspace.ts";
import { viaApi, viaCommandLine } from "./build.ts";
import { Bases, readCases } from "./harness.ts";

const words = process.argv.slice(2);
const parts = words.filter((word) => !word.startsWith("--"));
const folder = workspace("kbuild-conformance");
const place = { root: path.join(folder, "store"), folder, bases: new Bases(folder) };
const { runnable, needRun } = readCases();
const judge = words.includes("--cli") ? viaCommandLine : viaApi;

let agree = 0;
let differ = 0;
for (const each of runnable) {
  if (parts.length > 0 && !parts.some((part) => each.spec.name.includes(part))) continue;
  const found = await judge(place, each).catch((error: unknown) => [
    `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  ]);
  if (found.length === 0) {
    agree += 1;
    if (words.includes("--all")) console.log(`ok    ${each.spec.name}`);
    continue;
  }
  differ += 1;
  console.log(`DIFF  ${each.spec.name}`);
  console.log(each.dockerfile.trimEnd().replace(/^/gm, "        | "));
  if (!each.spec.result.ok) console.log(`        BuildKit: ${each.spec.result.error}`);
  for (const line of found) console.log(`        ${line}`);
}
console.log(`${agree} agree, ${differ} differ; ${needRun.length} need RUN`);
process.exitCode = differ > 0 ? 1 : 0;
