import type { DraftItem } from "../../layers/draft.ts";
import { identityOf, type Part } from "../../layers/identity.ts";
import type { Sequence } from "../../layers/sequence.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { KEY_VERSION, type KeyParts, type StepRecord } from "../cache.ts";
import { explainMiss, type Miss } from "../miss.ts";
import type { ImageState, LayerReference, Snapshot } from "../state.ts";
import type { Tools } from "../tools.ts";

/** What a step is to the cache, besides what it does. */
export interface RecordedStep {
  /** The instruction after expansion, as the history shows it and as keys see it. */
  readonly instruction: string;
  /** Further inputs of the key that do not follow from the instruction's text. */
  readonly inputs: readonly Part[];
  /** Variables that a process would see, `NAME=value`. */
  readonly variables?: readonly string[] | undefined;
  /** The instruction without what misses are explained by on its own; absent: as it is. */
  readonly described?: string | undefined;
  /** Of the further inputs, and of what a process mounts, those that a person has a name for. */
  readonly settings?: ReadonlyMap<string, Part> | undefined;
  /** Identity of the place in the Dockerfile, to explain misses by. */
  readonly place: string;
  readonly useCache: boolean;
  readonly explain: boolean;
  /** Called when the step has to be done: what comes after it can be made ready meanwhile. */
  readonly onMiss?: (() => void) | undefined;
}

/** A step's outcome. */
export interface StepOutcome {
  readonly snapshot: Snapshot;
  /** When the step was first done, RFC 3339. */
  readonly created: string;
  /** Whether it gave no layer. */
  readonly isEmpty: boolean;
}

/**
 * The key of a step: design section 5. `files` is the identity of the files that it takes in.
 */
export function keyOf(tools: Tools, state: ImageState, step: RecordedStep, files: string): string {
  return identityOf(
    KEY_VERSION,
    state.snapshot.content,
    formatPlatform(state.platform),
    tools.clock.epoch,
    step.instruction,
    step.inputs,
    step.variables,
    files,
  );
}

/** The record of a step, unless the cache is not to be used. */
export function lookUp(tools: Tools, state: ImageState, step: RecordedStep, files: string): StepRecord | undefined {
  return step.useCache ? tools.cache.step(keyOf(tools, state, step, files)) : undefined;
}

/**
 * Does a step while nobody else in this process does the same: whoever comes later finds its record. Without the cache each
 * does it for himself.
 */
export async function once(
  tools: Tools,
  state: ImageState,
  step: RecordedStep,
  files: string,
  work: (hit: StepRecord | undefined) => Promise<StepOutcome>,
): Promise<StepOutcome> {
  const hit = lookUp(tools, state, step, files);
  if (hit !== undefined || !step.useCache) return work(hit);
  const key = keyOf(tools, state, step, files);
  const other = tools.underWay.get(key);
  if (other !== undefined) {
    await other;
    return work(lookUp(tools, state, step, files));
  }
  const doing = work(undefined);
  // Who waits looks at the record alone: a failure is told by whoever did the step.
  const done = doing.then(
    () => undefined,
    () => undefined,
  );
  tools.underWay.set(key, done);
  try {
    return await doing;
  } finally {
    tools.underWay.delete(key);
  }
}

/** Keeps what a step's key was made of, unless the same is kept already. */
export function rememberParts(
  tools: Tools,
  state: ImageState,
  step: RecordedStep,
  files: string,
  layer: LayerReference | undefined,
): void {
  const parts = partsOf(state, step, files);
  const last = tools.cache.lastParts(step.place);
  const now = { ...parts, ...(layer === undefined ? {} : { diffId: layer.diffId }) };
  if (last === undefined || JSON.stringify(last) !== JSON.stringify(now)) tools.cache.putLastParts(step.place, now);
}

/** Why a step had to be done; `items` is what it copies, undefined for one that copies nothing. */
export function missOf(
  tools: Tools,
  state: ImageState,
  step: RecordedStep,
  files: string,
  items: Sequence<DraftItem> | undefined,
): Miss {
  if (!step.useCache) return { reason: "the cache is not used", details: { reason: "noCache" } };
  const last = tools.cache.lastParts(step.place);
  const previous =
    last?.diffId === undefined || items === undefined ? undefined : { index: tools.pool.indexPath(last.diffId), items };
  const isLost = tools.cache.hasLostStep(keyOf(tools, state, step, files));
  return explainMiss(partsOf(state, step, files), last, isLost, previous);
}

function partsOf(state: ImageState, step: RecordedStep, files: string): KeyParts {
  return {
    instruction: step.described ?? step.instruction,
    parent: state.snapshot.content,
    platform: formatPlatform(state.platform),
    files: identityOf(files, step.inputs),
    ...(step.variables === undefined ? {} : { variables: step.variables.map(fingerprint) }),
    ...(step.settings === undefined ? {} : { settings: fingerprints(step.settings) }),
  };
}

function fingerprints(settings: ReadonlyMap<string, Part>): Record<string, string> {
  return Object.fromEntries([...settings].map(([name, value]) => [name, identityOf(value).slice(0, 16)]));
}

/** A variable whose value can be compared and not read. */
function fingerprint(variable: string): string {
  const [name = "", ...value] = variable.split("=");
  return `${name}=${identityOf(value.join("=")).slice(0, 16)}`;
}
