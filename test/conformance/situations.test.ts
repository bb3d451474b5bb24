import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inEach, openSituations } from "../support/situations.ts";
import { workspace } from "../support/workspace.ts";
import { writeBase } from "./base.ts";
import { viaCommandLine } from "./build.ts";
import { needsRun, readCases, writeContext } from "./harness.ts";

const folder = workspace("kbuild-conformance-run");
const base = path.join(folder, "busybox");
await writeBase(base);
const situations = await openSituations(folder);
const cases = readCases().filter(needsRun);

const Situations = suite("what BuildKit makes of a RUN, the same image in all four situations");
Situations.after(() => situations.close());
for (const each of cases) {
  Situations(each.name, async () => {
    const context = await writeContext(path.join(folder, "contexts", each.name), each);
    const env = { SOURCE_DATE_EPOCH: "1700000000" };
    const told = await inEach(situations.all, (situation) =>
      viaCommandLine(situation, each, { context, base, out: situation.folder, env }),
    );
    for (const [name, { differences }] of told) assert.equal(differences, [], `${name}: ${each.name}`);
    const digests = new Set([...told.values()].map(({ digest }) => digest));
    assert.is(
      digests.size,
      1,
      `${each.name}: ${[...told].map(([name, { digest }]) => `${name} ${digest}`).join(", ")}`,
    );
  });
}
Situations("no case is left out", () => {
  assert.is(cases.length, 81);
});
Situations.run();
