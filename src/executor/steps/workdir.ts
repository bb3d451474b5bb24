import { identityOf } from "../../layers/identity.ts";
import { findOwner } from "../copy/owner.ts";
import type { StepReporter } from "../emitter.ts";
import type { ImageState } from "../state.ts";
import type { Tools } from "../tools.ts";
import { readFile } from "../tree-file.ts";
import { runLayerStep } from "./layer-step.ts";
import type { StepOutcome } from "./step-record.ts";

/** What a WORKDIR step is told besides the state it works on. */
export interface WorkdirStep {
  /** The absolute path. */
  readonly path: string;
  readonly place: string;
  readonly useCache: boolean;
  readonly explain: boolean;
  /** See `RecordedStep`. */
  readonly onMiss: () => void;
  readonly warn: (message: string) => void;
}

/**
 * WORKDIR makes its folder when it is not there, and all that it is in, for the stage's USER. A folder that is there
 * gives an empty layer, as with docker, so that the counts of layers and history agree.
 */
export function runWorkdir(
  tools: Tools,
  state: ImageState,
  step: WorkdirStep,
  reporter: StepReporter,
): Promise<StepOutcome> {
  const user = state.config.User ?? "";
  return runLayerStep(
    tools,
    state,
    {
      instruction: `WORKDIR ${step.path}`,
      inputs: ["user", user],
      place: step.place,
      useCache: step.useCache,
      explain: step.explain,
      onMiss: step.onMiss,
      isIndependent: false,
      files: () => identityOf(),
      write: async (draft) => {
        const read = (path: string) => readFile(tools, state.snapshot, path);
        const owner = user === "" ? { uid: 0, gid: 0 } : await findOwner(user, read, step.warn);
        draft.makeFolders(step.path.slice(1), { owner, mode: 0o755, mtime: tools.clock.mtime() });
        return { roots: [], blobs: [] };
      },
    },
    reporter,
  );
}
