import { identityOf } from "../../layers/identity.ts";
import { Tree } from "../../layers/tree.ts";
import { SnapshotSource } from "../copy/snapshot-source.ts";
import type { BuildContext } from "./build-context.ts";

/** What a build has whose Dockerfile came from standard input: no files at all. */
export const noContext: BuildContext = {
  identity: identityOf("no context"),
  readText: async () => undefined,
  names: async () => [],
  files: async () =>
    new SnapshotSource("the build context, which is empty when the Dockerfile is standard input", new Tree([]), []),
  dispose: () => {},
};
