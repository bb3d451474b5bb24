import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/workspace.ts";
import { groups } from "./groups.ts";
import { lackOf } from "./peers/abilities.ts";
import { openBuildkit } from "./peers/buildkit.ts";
import { judge, writePeerBase } from "./peers/compare.ts";
import type { Peer } from "./peers/peer.ts";

/** So many cases take as long as the daemon's start; `npm run goldens -- --peers` has them all. */
const SAMPLE = 24;

// Those that its age keeps nothing from, spread over all groups.
const common = groups
  .flatMap((group) => group.cases.map((golden) => ({ group, golden })))
  .filter(({ golden }) => golden.differs?.buildkit20 === undefined && lackOf("buildkit20", golden) === undefined);
const step = Math.floor(common.length / SAMPLE);
const sample = common.filter((_, number) => number % step === 0);

const Peers = suite<{ peer: Peer; folder: string }>("golden builds, by the BuildKit of a real docker daemon");
Peers.before(async (state) => {
  state.folder = workspace("kbuild-peers");
  state.peer = await openBuildkit(await writePeerBase(path.join(state.folder, "base")));
});
Peers.after(async ({ peer }) => {
  await peer?.close();
});
for (const { group, golden } of sample) {
  Peers(`${group.name}: ${golden.name}`, async ({ peer, folder }) => {
    assert.equal(await judge(peer, group, golden, folder), { kind: "same" });
  });
}
Peers("the sample is large enough", () => {
  assert.ok(sample.length >= SAMPLE, `${sample.length} cases`);
});
Peers.run();
