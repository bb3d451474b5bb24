import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith } from "../support/command.ts";
import { workspace } from "../support/workspace.ts";
import { writeBase } from "./base.ts";
import { viaApi, viaCommandLine } from "./build.ts";
import { readCases, writeContext } from "./harness.ts";

const folder = workspace("kbuild-conformance");
const base = path.join(folder, "busybox");
await writeBase(base);
const cases = readCases();

const Api = suite("what BuildKit makes of it, through the API");
const place = { root: path.join(folder, "store"), folder, base };
for (const each of cases) {
  Api(each.name, async () => {
    assert.equal(await viaApi(place, each), [], each.name);
  });
}
Api("no case is left out", () => {
  assert.is(cases.length, 363);
});
Api.run();

const CommandLine = suite("what BuildKit makes of it, through the command line");
const kbuild = kbuildWith(path.join(folder, "store"));
const out = path.join(folder, "out");
fs.mkdirSync(out);
// Every tenth case, and all that have options.
for (const each of cases.filter(({ options }, number) => number % 10 === 0 || Object.keys(options).length > 0)) {
  CommandLine(each.name, async () => {
    const context = await writeContext(path.join(folder, "cli", each.name), each);
    const { differences } = await viaCommandLine(kbuild, each, { context, base, out, env: { HOME: folder } });
    assert.equal(differences, [], each.name);
  });
}
CommandLine.run();
