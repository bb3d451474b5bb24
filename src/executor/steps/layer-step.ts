import { rmSync } from "node:fs";
import { Draft, type DraftItem } from "../../layers/draft.ts";
import { identityOf, type Part } from "../../layers/identity.ts";
import type { Sequence } from "../../layers/sequence.ts";
import { Tree } from "../../layers/tree.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { KEY_VERSION, type KeyParts, type StepRecord } from "../cache.ts";
import { milliseconds } from "../elapsed.ts";
import type { StepReporter } from "../emitter.ts";
import { type LayerSources, makeLayer, stack } from "../make-layer.ts";
import { explainMiss } from "../miss.ts";
import type { ImageState, Snapshot } from "../state.ts";
import type { Tools } from "../tools.ts";

/** What a step that makes a layer is, besides what it does. */
export interface LayerStep {
  /** The instruction after expansion, as the history shows it and as keys see it. */
  readonly instruction: string;
  /** Further inputs of the key that do not follow from the instruction's text. */
  readonly inputs: readonly Part[];
  /** Identity of the place in the Dockerfile, to explain misses by. */
  readonly place: string;
  readonly useCache: boolean;
  readonly explain: boolean;
  /** Whether the layer is made without looking at what is below (`--link`). */
  readonly isIndependent: boolean;
  /** The copied files, as far as they take part in the key; undefined when some content is not known yet. */
  readonly files: () => string | undefined;
  /** Writes what the step does. Called only when it has to be done. */
  readonly write: (draft: Draft) => Promise<LayerSources>;
}

/** A step's outcome. */
export interface LayerOutcome {
  readonly snapshot: Snapshot;
  /** When the layer was made, RFC 3339. */
  readonly created: string;
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
): Promise<LayerOutcome> {
  reporter.start();
  const early = step.files();
  if (early !== undefined && step.useCache) {
    const hit = lookUp(tools, state, step, early);
    if (hit !== undefined) return finishCached(tools, state, step, early, hit, reporter);
  }
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
  if (early === undefined && step.useCache) {
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
  tools.cache.putLastParts(step.place, { ...partsOf(state, step, files), diffId: made.layer.diffId });
  reporter.finish({
    status: "done",
    missReason: reason,
    missDetails: step.explain ? details : undefined,
    layer: { diffId: made.layer.diffId, size: made.layer.blob.size },
  });
  return { snapshot: made.snapshot, created };
}

function lookUp(tools: Tools, state: ImageState, step: LayerStep, files: string): StepRecord | undefined {
  return tools.cache.step(keyOf(tools, state, step, files));
}

function finishCached(
  tools: Tools,
  state: ImageState,
  step: LayerStep,
  files: string,
  record: StepRecord,
  reporter: StepReporter,
): LayerOutcome {
  const { layer, content } = record;
  if (layer === undefined || content === undefined) throw new TypeError("a layer step's record has no layer");
  const last = tools.cache.lastParts(step.place);
  const parts = partsOf(state, step, files);
  const isSame = last?.instruction === parts.instruction && last.parent === parts.parent && last.files === parts.files;
  if (!isSame) tools.cache.putLastParts(step.place, { ...parts, diffId: layer.diffId });
  reporter.finish({ status: "cached", layer: { diffId: layer.diffId, size: layer.blob.size } });
  return { snapshot: stack(state.snapshot, layer, content), created: record.created };
}

function keyOf(tools: Tools, state: ImageState, step: LayerStep, files: string): string {
  return identityOf(
    KEY_VERSION,
    state.snapshot.content,
    formatPlatform(state.platform),
    tools.clock.epoch,
    step.instruction,
    step.inputs,
    files,
  );
}

function partsOf(state: ImageState, step: LayerStep, files: string): KeyParts {
  return {
    instruction: step.instruction,
    parent: state.snapshot.content,
    platform: formatPlatform(state.platform),
    files: identityOf(files, step.inputs),
  };
}

function missOf(tools: Tools, state: ImageState, step: LayerStep, files: string, items: Sequence<DraftItem>) {
  if (!step.useCache) return { reason: "the cache is not used", details: { reason: "noCache" as const } };
  const last = tools.cache.lastParts(step.place);
  const previous = last?.diffId === undefined ? undefined : tools.pool.indexPath(last.diffId);
  const isLost = tools.cache.hasLostStep(keyOf(tools, state, step, files));
  return explainMiss(partsOf(state, step, files), last, isLost, previous, items);
}
