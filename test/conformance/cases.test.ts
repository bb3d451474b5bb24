import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/workspace.ts";
import { viaApi, viaCommandLine } from "./build.ts";
import { Bases, readCases } from "./harness.ts";

const folder = workspace("kbuild-conformance");
const place = { root: path.join(folder, "store"), folder, bases: new Bases(folder) };
const { runnable, needRun } = readCases();

const Api = suite("what BuildKit makes of it, through the API");
for (const each of runnable) {
  Api(each.spec.name, async () => {
    assert.equal(await viaApi(place, each), [], each.spec.name);
  });
}
Api("nothing but RUN keeps a case from being tried", () => {
  console.log(`\n${needRun.length} cases wait for RUN: ${needRun.map((spec) => spec.name).join(" ")}`);
  assert.ok(runnable.length >= 279, `only ${runnable.length} cases are tried`);
  for (const spec of needRun) assert.match(spec.dockerfile, /^\s*(ONBUILD\s+)?RUN\b/im);
});
Api.run();

const CommandLine = suite("what BuildKit makes of it, through the command line");
// Every tenth case, and all that have options.
for (const each of runnable.filter(({ spec }, number) => number % 10 === 0 || Object.keys(spec.options).length > 0)) {
  CommandLine(each.spec.name, async () => {
    assert.equal(await viaCommandLine(place, each), [], each.spec.name);
  });
}
CommandLine.run();
