import * as fs from "node:fs";
import * as path from "node:path";
import { build } from "../../../src/api.ts";
import type { BuildResult } from "../../../src/executor/options.ts";
import { plant, workspace } from "../../support/workspace.ts";

/** A store in which an image of two stages was built, and how to build it again. */
export interface SampleStore {
  readonly root: string;
  /** Where a path below the store is. */
  at(...names: readonly string[]): string;
  /** Builds the image; `content` is that of the file that the last step but one copies. */
  build(content?: string): Promise<BuildResult>;
}

const DOCKERFILE = `FROM scratch AS tools
COPY tool /bin/tool
FROM scratch
COPY --from=tools /bin/tool /bin/tool
COPY file /srv/
WORKDIR /srv/deep
LABEL a=b
`;

export function sampleStore(): SampleStore {
  const folder = workspace("kbuild-store");
  const root = path.join(folder, "store");
  const context = path.join(folder, "context");
  return {
    root,
    at: (...names) => path.join(root, ...names),
    build: async (content = "content") => {
      plant(context, { Dockerfile: DOCKERFILE, tool: { text: "#!/bin/sh\n", mode: 0o755 }, file: content });
      return await build({ context, root, tags: ["sample:1"], env: { SOURCE_DATE_EPOCH: "1700000000" } });
    },
  };
}

/** Makes everything in a store as old as if it had last been used so many milliseconds ago. */
export function age(root: string, milliseconds: number): void {
  const then = new Date(Date.now() - milliseconds);
  for (const name of fs.readdirSync(root, { recursive: true }) as string[]) {
    const target = path.join(root, name);
    if (!fs.lstatSync(target).isSymbolicLink()) fs.utimesSync(target, then, then);
  }
}

/** Names of files below a folder of the store. */
export function filesBelow(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder, { recursive: true }) as string[];
  return names.filter((name) => !fs.lstatSync(path.join(folder, name)).isDirectory()).sort();
}

/** Puts a failed step into a store, as `--keep-failed` does, that ran on one layer. */
export function keepStep(store: SampleStore, layer: string, size = 1): void {
  fs.mkdirSync(store.at("failed/failed-1/tree"), { recursive: true });
  fs.writeFileSync(store.at("failed/failed-1/tree/file"), Buffer.alloc(10_000));
  const digest = `sha256:${layer}`;
  const blob = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size };
  fs.writeFileSync(store.at("failed/failed-1/step.json"), JSON.stringify({ layers: [{ diffId: digest, blob }] }));
}
