import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith } from "../support/command.ts";
import { viaCommandLine } from "./build.ts";
import { readExpected } from "./expected.ts";
import { differences, keyOf, openGoldens } from "./goldens.ts";
import { groups } from "./groups.ts";

const goldens = await openGoldens();

for (const group of groups) {
  const Group = suite(`golden builds, through the API: ${group.name}`);
  const expected = readExpected(group.name);
  for (const golden of group.cases) {
    Group(golden.name, async () => {
      assert.equal(differences(await goldens.viaApi(group, golden), expected[golden.name]), [], golden.name);
    });
  }
  Group("every case has one golden result, and every result a case", () => {
    assert.equal(
      Object.keys(expected),
      group.cases.map(({ name }) => name),
    );
  });
  Group("what fails is the Dockerfile's fault or the context's, by no means the machine's", () => {
    const codes = Object.values(expected).flatMap((outcome) => ("fails" in outcome ? [outcome.code] : []));
    assert.equal(
      codes.filter((code) => !code.startsWith("build.")),
      [],
    );
  });
  Group.run();
}

const CommandLine = suite("golden builds, through the command line");
const kbuild = kbuildWith(goldens.root);
const all = groups.flatMap((group) => group.cases.map((golden) => ({ group, golden })));
for (const { group, golden } of all.filter((_, number) => number % 10 === 0)) {
  CommandLine(`${group.name}: ${golden.name}`, async () => {
    const outcome = await viaCommandLine(kbuild, goldens, golden, keyOf(group, golden));
    const expected = readExpected(group.name)[golden.name];
    // The command line prints no codes.
    const shown = expected !== undefined && "fails" in expected ? { ...expected, code: "" } : expected;
    assert.equal(differences(outcome, shown), [], golden.name);
  });
}
CommandLine("there are more than 220 cases", () => {
  assert.ok(all.length > 220, `${all.length} cases`);
});
CommandLine.run();
