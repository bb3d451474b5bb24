import type { Location } from "../errors.ts";
import type { Platform } from "../oci/types.ts";
import { scratchState } from "./base.ts";
import type { SourceTree } from "./copy/sources.ts";
import type { Emitter } from "./emitter.ts";
import type { ImageState } from "./state.ts";
import { runCopy } from "./steps/copy.ts";
import type { Tools } from "./tools.ts";

/** What makes a base of the files of a named context. */
export interface ContextBase {
  readonly name: string;
  readonly tree: SourceTree;
  readonly platform: Platform;
  /** Of the FROM. */
  readonly location: Location;
  readonly stage: string;
  readonly place: string;
  readonly useCache: boolean;
  readonly explain: boolean;
}

/**
 * What a stage starts with whose FROM names a context that is no image: its files as one layer, and the configuration of
 * `scratch`. docker buildx build, "--build-context".
 */
export async function stateOfContext(tools: Tools, emitter: Emitter, base: ContextBase): Promise<ImageState> {
  const { name, tree, platform, location, stage, place, useCache, explain } = base;
  const scratch = scratchState(platform);
  const reporter = emitter.plan({ name: `[context ${name}] load from client`, kind: "internal", location, stage });
  const instruction = `FROM ${name}`;
  try {
    const outcome = await runCopy(
      tools,
      scratch,
      {
        kind: "COPY",
        instruction,
        place,
        useCache,
        explain,
        onMiss: () => {},
        sources: [{ kind: "path", text: ".", location }],
        destination: { path: "", isFolder: true },
        tree,
        chown: undefined,
        chmod: undefined,
        link: false,
        parents: false,
        exclude: [],
        unpack: false,
        warn: (message) => emitter.warn("CopySource", message, location),
        ignoreRule: String,
      },
      reporter,
    );
    const { snapshot, created } = outcome;
    return { ...scratch, snapshot, history: [{ created, created_by: instruction, comment: "kbuild.context.v0" }] };
  } catch (error) {
    reporter.finish({ status: "failed" });
    throw error;
  }
}
