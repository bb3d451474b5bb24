import * as path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { build } from "../../src/api.ts";
import { writeBase } from "../conformance/base.ts";
import { workspace } from "../support/workspace.ts";
import { PLATFORM, type Place, viaApi } from "./build.ts";
import type { Golden, Group } from "./golden.ts";
import type { Outcome } from "./outcome.ts";

/** A store and a base for golden builds, gone with the process. */
export async function openGoldens(): Promise<Place & { viaApi(group: Group, golden: Golden): Promise<Outcome> }> {
  const folder = workspace("kbuild-goldens");
  const base = path.join(folder, "busybox");
  await writeBase(base);
  const place = { root: path.join(folder, "store"), folder };
  // An image of the store, not a named context, which would come before stages of that name.
  await build({
    context: folder,
    dockerfile: "FROM base\n",
    root: place.root,
    platform: PLATFORM,
    tags: ["busybox"],
    buildContexts: { base: `oci-layout://${base}` },
    env: {},
  });
  return { ...place, viaApi: (group, golden) => viaApi(place, golden, keyOf(group, golden)) };
}

/** A case's folder: `copy/12`. */
export function keyOf(group: Group, golden: Golden): string {
  return path.join(group.name, String(group.cases.findIndex(({ name }) => name === golden.name)));
}

/** All differences between what came out and what should have, as lines; none means that they agree. */
export function differences(is: Outcome, shouldBe: Outcome | undefined): string[] {
  if (shouldBe === undefined) return [`is new: ${"fails" in is ? `fails at ${is.fails} (${is.code})` : "a result"}`];
  if ("fails" in is || "fails" in shouldBe) {
    if (isDeepStrictEqual(is, shouldBe)) return [];
    return [`${told(is)}, should be: ${told(shouldBe)}`];
  }
  const found: string[] = [];
  for (const key of ["tree", "config"] as const) found.push(...recordDifferences(key, is[key], shouldBe[key]));
  for (const key of ["removed", "links", "history", "layers"] as const) {
    if (isDeepStrictEqual(is[key], shouldBe[key])) continue;
    found.push(`${key}: is ${JSON.stringify(is[key] ?? [])}, should be ${JSON.stringify(shouldBe[key] ?? [])}`);
  }
  return found;
}

function told(outcome: Outcome): string {
  return "fails" in outcome ? `fails at ${outcome.fails} (${outcome.code})` : "succeeds";
}

function recordDifferences(
  what: string,
  is: Readonly<Record<string, unknown>>,
  shouldBe: Readonly<Record<string, unknown>>,
): string[] {
  return [...new Set([...Object.keys(is), ...Object.keys(shouldBe)])]
    .sort()
    .filter((name) => !isDeepStrictEqual(is[name], shouldBe[name]))
    .map((name) => `${what} ${name}: is ${show(is[name])}, should be ${show(shouldBe[name])}`);
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  return typeof value === "string" ? value : JSON.stringify(value);
}
