import { rmSync } from "node:fs";
import { Draft } from "../../layers/draft.ts";
import { identityOf } from "../../layers/identity.ts";
import { Tree } from "../../layers/tree.ts";
import type { StepRecord } from "../cache.ts";
import { milliseconds } from "../elapsed.ts";
import type { StepReporter } from "../emitter.ts";
import { type LayerSources, makeLayer, stack } from "../make-layer.ts";
import type { ImageState } from "../state.ts";
import type { Tools } from "../tools.ts";
import { keyOf, lookUp, missOf, once, type RecordedStep, rememberParts, type StepOutcome } from "./step-record.ts";

/** What a step that copies into a layer is, besides what it does. */
export interface LayerStep extends RecordedStep {
  /** Whether the layer is made without looking at what is below (`--link`). */
  readonly isIndependent: boolean;
  /** The copied files, as far as they take part in the key; undefined when some content is not known yet. */
  readonly files: () => string | undefined;
  /** Writes what the step does. Called only when it has to be done. */
  readonly write: (draft: Draft) => Promise<LayerSources>;
}

/**
 * Runs a step that makes a layer: looks its key up, does it when there is no record, looks the key up again when it is
 * known only then, and reports what happened. Design section 5.
 */
export async function runLayerStep(
  tools: Tools,
  state: ImageState,
  step: LayerStep,
  reporter: StepReporter,
): Promise<StepOutcome> {
  reporter.start();
  const early = step.files();
  if (early === undefined) return make(tools, state, step, undefined, reporter);
  return once(tools, state, step, early, async (hit) => {
    if (hit !== undefined) return finishCached(tools, state, step, early, hit, reporter);
    step.onMiss?.();
    return make(tools, state, step, early, reporter);
  });
}

/** Does the step. `early` is the identity of its files if that is known already. */
async function make(
  tools: Tools,
  state: ImageState,
  step: LayerStep,
  early: string | undefined,
  reporter: StepReporter,
): Promise<StepOutcome> {
  const begun = milliseconds();
  const base = step.isIndependent ? new Tree([]) : await tools.pool.tree(state.snapshot);
  const draft = new Draft(base);
  const sources = await step.write(draft);
  const items = draft.items();
  const made = await makeLayer(tools, state.snapshot, items, sources, step.useCache).finally(() => {
    for (const path of sources.temporary ?? []) rmSync(path, { force: true });
  });
  // What is never read, as a file that another source's has replaced, leaves only what came out to tell inputs apart by.
  const files = step.files() ?? identityOf("unread", made.snapshot.content);
  if (early === undefined) {
    const hit = lookUp(tools, state, step, files);
    if (hit !== undefined) return finishCached(tools, state, step, files, hit, reporter);
  }
  const { reason, details } = missOf(tools, state, step, files, items);
  const created = tools.clock.created();
  tools.cache.putStep(keyOf(tools, state, step, files), {
    created,
    layer: made.layer,
    content: made.snapshot.content,
    duration: milliseconds() - begun,
  });
  rememberParts(tools, state, step, files, made.layer);
  reporter.finish({
    status: "done",
    missReason: reason,
    missDetails: step.explain ? details : undefined,
    layer: { diffId: made.layer.diffId, size: made.layer.blob.size },
  });
  return { snapshot: made.snapshot, created, isEmpty: false };
}

function finishCached(
  tools: Tools,
  state: ImageState,
  step: LayerStep,
  files: string,
  record: StepRecord,
  reporter: StepReporter,
): StepOutcome {
  const { layer, content } = record;
  if (layer === undefined || content === undefined) throw new TypeError("a layer step's record has no layer");
  rememberParts(tools, state, step, files, layer);
  reporter.finish({ status: "cached", layer: { diffId: layer.diffId, size: layer.blob.size } });
  return { snapshot: stack(state.snapshot, layer, content), created: record.created, isEmpty: false };
}
