import { KbuildError, type Location } from "../../errors.ts";
import { identityOf } from "../../layers/identity.ts";
import { joinPath } from "../../layers/tree.ts";
import { suggest } from "../../parser/suggest.ts";
import { filesIdentity } from "../copy/identity.ts";
import type { SourceMatch, SourceTree } from "../copy/sources.ts";
import { joinAbsolute } from "../image-path.ts";
import type { Snapshot } from "../state.ts";

/** What a mount takes in: a folder or a file of the context, a stage or an image. */
export interface MountSource {
  readonly tree: SourceTree;
  readonly match: SourceMatch;
  /** The layers that it is in; absent for a context. */
  readonly snapshot: Snapshot | undefined;
  /** Identity of the content, for the step's key. */
  readonly content: string;
}

/**
 * Finds what a mount takes in, and what it has in it. `..` stops at the root, links are followed inside of it.
 * @throws KbuildError `build.missingFile`
 */
export async function findMountSource(tree: SourceTree, source: string, location: Location): Promise<MountSource> {
  const names = joinAbsolute("/", source)
    .split("/")
    .filter((name) => name !== "");
  const segments = names.map((text) => ({ kind: "name", text }) as const);
  const [result] = await tree.select([{ segments, text: source }], true);
  const match = result?.kind === "found" ? result.matches[0] : undefined;
  if (match === undefined) throw await missing(tree, names, location);
  const { snapshot } = tree;
  // A whole stage is known by its content already: nothing has to be gone through.
  const isWhole = snapshot !== undefined && match.entry.path === "";
  const content = isWhole ? snapshot.content : filesIdentity([match], { exclude: undefined, parents: false });
  if (content === undefined) throw new KbuildError("internal.mount", `what is mounted from ${tree.label} was not read`);
  return { tree, match, snapshot, content: identityOf("mounted", content) };
}

async function missing(tree: SourceTree, names: readonly string[], location: Location): Promise<KbuildError> {
  const path = names.join("/");
  const folder = names.slice(0, -1).join("/");
  const near = suggest(names.at(-1) ?? "", await tree.neighbours(folder));
  return new KbuildError("build.missingFile", `/${path} to be mounted is not in ${tree.label}`, {
    location,
    ...(near === undefined ? {} : { hint: `did you mean ${joinPath(folder, near)}?` }),
  });
}
