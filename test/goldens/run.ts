/**
 * For developers: builds the golden cases.
 *
 *     npm run goldens -- [--update | --peers] [PART OF A NAME...]
 *
 * By itself it prints every difference from the golden results. `--update` writes them anew; what git shows as changed is
 * to be reviewed. `--peers` builds with buildah and with the BuildKit of docker 20.10, as root, and prints every difference
 * that a case does not explain. A part of a name may be one of a group's.
 */
import { readExpected, writeExpected } from "./expected.ts";
import { differences, openGoldens } from "./goldens.ts";
import { groups } from "./groups.ts";
import { comparePeers } from "./peers/compare.ts";

const words = process.argv.slice(2);
const flags = words.filter((word) => word.startsWith("--"));
const parts = words.filter((word) => !word.startsWith("--"));
const unknown = flags.find((flag) => flag !== "--update" && flag !== "--peers");
if (unknown !== undefined) throw new Error(`unknown: ${unknown}; there are --update and --peers`);

const chosen = groups
  .map((group) => ({
    ...group,
    cases: group.cases.filter(
      ({ name }) => parts.length === 0 || parts.some((part) => `${group.name}: ${name}`.includes(part)),
    ),
  }))
  .filter(({ cases }) => cases.length > 0);

let failures = 0;
if (flags.includes("--peers")) {
  failures = await comparePeers(chosen);
} else {
  const goldens = await openGoldens();
  for (const group of chosen) {
    const expected = readExpected(group.name);
    const outcomes = new Map(Object.entries(expected));
    for (const golden of group.cases) {
      const outcome = await goldens.viaApi(group, golden);
      const found = differences(outcome, expected[golden.name]);
      outcomes.set(golden.name, outcome);
      if (found.length === 0) continue;
      if (!flags.includes("--update")) failures += 1;
      console.log(`${group.name}: ${golden.name}\n${golden.dockerfile.trimEnd().replace(/^/gm, "    | ")}`);
      for (const line of found) console.log(`    ${line}`);
    }
    if (flags.includes("--update")) {
      const whole = groups.find(({ name }) => name === group.name)?.cases ?? [];
      writeExpected(
        group.name,
        Object.fromEntries(
          whole.flatMap(({ name }) => {
            const outcome = outcomes.get(name);
            return outcome === undefined ? [] : [[name, outcome]];
          }),
        ),
      );
    }
  }
}
process.exitCode = failures > 0 ? 1 : 0;
