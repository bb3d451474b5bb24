/**
 * For developers: builds the cases and prints every difference from BuildKit.
 *
 *     node --import tsx test/conformance/run.ts [--cli] [--all] [PART OF A NAME...]
 *
 * `--cli` goes through the command line, `--all` prints the cases that agree as well.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { kbuildWith } from "../support/command.ts";
import { workspace } from "../support/workspace.ts";
import { writeBase } from "./base.ts";
import { viaApi, viaCommandLine } from "./build.ts";
import { type Case, readCases, writeContext } from "./harness.ts";

const words = process.argv.slice(2);
const parts = words.filter((word) => !word.startsWith("--"));
const folder = workspace("kbuild-conformance");
const base = path.join(folder, "busybox");
await writeBase(base);
const root = path.join(folder, "store");
const out = path.join(folder, "out");
fs.mkdirSync(out);

async function judge(spec: Case): Promise<readonly string[]> {
  if (!words.includes("--cli")) return viaApi({ root, folder, base }, spec);
  const context = await writeContext(path.join(folder, "cli", spec.name), spec);
  return (await viaCommandLine(kbuildWith(root), spec, { context, base, out })).differences;
}

let agree = 0;
let differ = 0;
for (const each of readCases()) {
  if (parts.length > 0 && !parts.some((part) => each.name.includes(part))) continue;
  const found = await judge(each).catch((error: unknown) => [
    `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  ]);
  if (found.length === 0) {
    agree += 1;
    if (words.includes("--all")) console.log(`ok    ${each.name}`);
    continue;
  }
  differ += 1;
  console.log(`DIFF  ${each.name}`);
  console.log(each.dockerfile.trimEnd().replace(/^/gm, "        | "));
  if (!each.result.ok) console.log(`        BuildKit: ${each.result.error}`);
  for (const line of found) console.log(`        ${line}`);
}
console.log(`${agree} agree, ${differ} differ`);
process.exitCode = differ > 0 ? 1 : 0;
