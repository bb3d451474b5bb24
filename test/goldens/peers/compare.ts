/** Compares the golden results with what other builders make of the cases. */
import * as fs from "node:fs";
import * as path from "node:path";
import { writeBase } from "../../conformance/base.ts";
import { must } from "../../support/command.ts";
import { remove, workspace } from "../../support/workspace.ts";
import { readExpected } from "../expected.ts";
import type { Golden, Group } from "../golden.ts";
import { differences, keyOf } from "../goldens.ts";
import type { Outcome } from "../outcome.ts";
import { openBuildah } from "./buildah.ts";
import { openBuildkit } from "./buildkit.ts";
import type { Peer } from "./peer.ts";

/** What a peer says of a case. */
export type Verdict =
  | { readonly kind: "same" }
  /** It lacks something that the case has. */
  | { readonly kind: "not expressed"; readonly what: string }
  /** It differs as the case says. */
  | { readonly kind: "explained" }
  /** It differs and the case does not say so, or the other way around. */
  | { readonly kind: "unexpected"; readonly lines: readonly string[] };

/** Writes the base as the docker archive that the peers take. Gives its path. */
export async function writePeerBase(folder: string): Promise<string> {
  const layout = path.join(folder, "busybox");
  const archive = path.join(folder, "busybox.tar");
  await writeBase(layout);
  await must("skopeo", ["copy", "-q", `oci:${layout}`, `docker-archive:${archive}:busybox:latest`]);
  return archive;
}

/** Has a peer build a case, and compares. */
export async function judge(peer: Peer, group: Group, golden: Golden, folder: string): Promise<Verdict> {
  const what = peer.cannotExpress(golden);
  const why = golden.differs?.[peer.name];
  if (what !== undefined) {
    if (why === undefined) return { kind: "not expressed", what };
    return { kind: "unexpected", lines: [`the case says how it differs, but it cannot express ${what}`] };
  }
  const expected = readExpected(group.name)[golden.name];
  if (expected === undefined) throw new Error(`${group.name}: ${golden.name} has no golden result`);
  const place = path.join(folder, peer.name, keyOf(group, golden));
  fs.mkdirSync(place, { recursive: true });
  const lines = peerDifferences(await peer.build(golden, place), expected);
  remove(place);
  if (why === undefined) return lines.length === 0 ? { kind: "same" } : { kind: "unexpected", lines };
  return lines.length > 0
    ? { kind: "explained" }
    : { kind: "unexpected", lines: [`it does not differ, although the case says: ${why}`] };
}

/** Prints all that is unexpected, and gives the number of such cases. */
export async function comparePeers(groups: readonly Group[]): Promise<number> {
  const folder = workspace("kbuild-peers");
  const base = await writePeerBase(folder);
  const peers = await Promise.all([openBuildkit(base), openBuildah(path.join(folder, "buildah"), base)]);
  const all = groups.flatMap((group) => group.cases.map((golden) => ({ group, golden })));
  let unexpected = 0;
  const compareWith = async (peer: Peer): Promise<void> => {
    const counts = new Map<string, number>();
    for (const { group, golden } of all) {
      const verdict = await judge(peer, group, golden, folder).catch(
        (error: unknown): Verdict => ({ kind: "unexpected", lines: [String(error)] }),
      );
      counts.set(verdict.kind, (counts.get(verdict.kind) ?? 0) + 1);
      if (verdict.kind !== "unexpected") continue;
      unexpected += 1;
      console.log(`${peer.name}: ${group.name}: ${golden.name}`);
      console.log(golden.dockerfile.trimEnd().replace(/^/gm, "    | "));
      for (const line of verdict.lines) console.log(`    ${line}`);
    }
    console.log(`${peer.name}: ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(", ")}`);
  };
  try {
    await Promise.all(peers.map(compareWith));
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
  }
  return unexpected;
}

/** As the golden differences, without what is each builder's own affair. */
function peerDifferences(is: Outcome, shouldBe: Outcome): string[] {
  if ("fails" in is && "fails" in shouldBe) {
    const line = /:(\d+)/.exec(is.fails)?.[1];
    const ours = /:(\d+)/.exec(shouldBe.fails)?.[1];
    return line === undefined || line === ours ? [] : [`fails in line ${line}, should be ${ours}: ${is.code}`];
  }
  if ("fails" in is) return [`fails: ${is.code.trim().split("\n").slice(-6).join("\n      ")}`];
  if ("fails" in shouldBe) return [`builds, should fail at ${shouldBe.fails} (${shouldBe.code})`];
  return differences(comparable(is), comparable(shouldBe));
}

const COMPARED =
  "Cmd Entrypoint Env ExposedPorts Healthcheck Labels OnBuild Shell StopSignal User Volumes WorkingDir author".split(
    " ",
  );

function comparable(outcome: Exclude<Outcome, { fails: string }>): Outcome {
  const config: Record<string, unknown> = {};
  for (const key of COMPARED) {
    const value = outcome.config[key];
    const isEmpty = Array.isArray(value) && value.length === 0;
    if (value !== undefined && !isEmpty) config[key] = key === "Env" ? [...(value as string[])].sort() : value;
  }
  // buildah leaves the folder behind that it mounts secrets below.
  const { run, ...tree } = outcome.tree;
  const { "io.buildah.version": _, ...labels } = (config.Labels ?? {}) as Record<string, string>;
  if (Object.keys(labels).length > 0) config.Labels = labels;
  else delete config.Labels;
  // Who squashes has one layer, and whoever has layers counts empty ones differently.
  return { ...outcome, tree: run === "dir 0755 0:0" ? tree : outcome.tree, config, history: [], layers: 0 };
}
