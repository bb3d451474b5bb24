import { rmSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { identityOf } from "../../layers/identity.ts";
import type { Exited } from "../../native/sandbox-protocol.ts";
import { KEY_VERSION, type StepRecord } from "../cache.ts";
import { milliseconds } from "../elapsed.ts";
import type { StepReporter } from "../emitter.ts";
import { contentKey, stack } from "../make-layer.ts";
import { checkRunnable } from "../run/emulation.ts";
import { LogLines } from "../run/log-lines.ts";
import { type ReadyMounts, readyMounts, type StepMount } from "../run/mounts.ts";
import type { Changes, Process } from "../run/worker.ts";
import type { ImageState, Snapshot } from "../state.ts";
import type { Tools } from "../tools.ts";
import { keyOf, missOf, once, type RecordedStep, rememberParts, type StepOutcome } from "./step-record.ts";

/** A RUN with all its words expanded and its mounts found. */
export interface RunStep extends RecordedStep {
  readonly plan: Process["plan"];
  readonly mounts: readonly StepMount[];
  /** Whether the command is a shell's. */
  readonly isShell: boolean;
  /** Identity of what the mounts take in. */
  readonly mounted: string;
  /** Values that must not be seen in the log. */
  readonly secrets: readonly string[];
  /** Whether its files are kept when it fails; then this is how it is run in them, without secrets. */
  readonly keepFailed: Process["plan"] | undefined;
  readonly warn: (message: string) => void;
}

/** RUN: the process is run on the stage's files, and what it changes becomes a layer. Dockerfile reference, "RUN". */
export async function runProcess(
  tools: Tools,
  state: ImageState,
  step: RunStep,
  reporter: StepReporter,
): Promise<StepOutcome> {
  reporter.start();
  return once(tools, state, step, step.mounted, async (hit) =>
    hit === undefined ? runAnew(tools, state, step, reporter) : finishCached(tools, state, step, hit, reporter),
  );
}

function finishCached(
  tools: Tools,
  state: ImageState,
  step: RunStep,
  { layer, content, created }: StepRecord,
  reporter: StepReporter,
): StepOutcome {
  rememberParts(tools, state, step, step.mounted, layer);
  if (layer === undefined || content === undefined) {
    reporter.finish({ status: "cached" });
    return { snapshot: state.snapshot, created, isEmpty: true };
  }
  reporter.finish({ status: "cached", layer: { diffId: layer.diffId, size: layer.blob.size } });
  return { snapshot: stack(state.snapshot, layer, content), created, isEmpty: false };
}

async function runAnew(tools: Tools, state: ImageState, step: RunStep, reporter: StepReporter): Promise<StepOutcome> {
  checkRunnable(state.platform);
  const { reason, details } = missOf(tools, state, step, step.mounted, undefined);
  const begun = milliseconds();
  const changes = await execute(tools, state, step, reporter);
  const snapshot = await adopt(tools, state.snapshot, changes, step.useCache);
  const layer = snapshot === state.snapshot ? undefined : snapshot.layers.at(-1);
  const created = createdOf(tools, step, snapshot);
  tools.cache.putStep(keyOf(tools, state, step, step.mounted), {
    created,
    ...(layer === undefined ? {} : { layer, content: snapshot.content }),
    duration: milliseconds() - begun,
  });
  rememberParts(tools, state, step, step.mounted, layer);
  reporter.finish({
    status: "done",
    missReason: reason,
    missDetails: step.explain ? details : undefined,
    ...(layer === undefined ? {} : { layer: { diffId: layer.diffId, size: layer.blob.size } }),
  });
  return { snapshot, created, isEmpty: layer === undefined };
}

/**
 * When this step first came to this content: one that runs again and comes to the same is as old as it was, so that the
 * image is the same, too.
 */
function createdOf(tools: Tools, step: RunStep, { content }: Snapshot): string {
  const key = identityOf(KEY_VERSION, "created", step.instruction, content, tools.clock.epoch);
  const known = step.useCache ? tools.cache.step(key) : undefined;
  if (known !== undefined) return known.created;
  const created = tools.clock.created();
  tools.cache.putStep(key, { created });
  return created;
}

async function execute(tools: Tools, state: ImageState, step: RunStep, reporter: StepReporter): Promise<Changes> {
  const log = new LogLines(reporter, step.secrets);
  let ready: ReadyMounts | undefined;
  try {
    const { exited, changes, kept } = await tools.worker.run({
      snapshot: state.snapshot,
      plan: step.plan,
      mounts: async (workshop) => {
        ready = await readyMounts(tools, workshop, step.mounts, (id) => reporter.log("stderr", waitingFor(id)));
        return ready.mounts;
      },
      onOutput: (stream, bytes) => {
        log.push(stream, bytes);
        return reporter.room();
      },
      keepFailed: step.keepFailed,
    });
    log.end();
    for (const warning of exited.warnings) step.warn(warning);
    if (changes === undefined) throw failed(step, exited, kept);
    return changes;
  } catch (error) {
    throw hinted(error, step);
  } finally {
    await ready?.release();
  }
}

function waitingFor(id: string): string {
  return `kbuild waits for the cache mount ${id}, which another step has`;
}

/** Tells of a program that cannot be started what may be the matter. */
function hinted(error: unknown, { plan, isShell }: RunStep): unknown {
  if (!(error instanceof KbuildError) || error.code !== "build.command" || error.hint !== undefined) return error;
  const [program] = plan.command;
  const hint = isShell
    ? `the stage has no ${program} that can be run: use the exec form, RUN ["PROGRAM", "ARGUMENT"], or a base with a shell`
    : `is ${program} installed in this stage, and executable? The exec form starts no shell`;
  return error.with({ hint });
}

function failed(step: RunStep, exited: Exited, kept: string | undefined): KbuildError {
  const code = exited.status ?? 128 + (exited.signal ?? 0);
  const command = step.plan.command.join(" ");
  const hints: Readonly<Record<number, string>> = {
    126: "126: the command was found and may not be executed",
    127: "127: the shell did not find a command; is it installed in this stage?",
  };
  const reason = exited.outOfMemory ? "the limit of --memory was reached" : hints[code];
  const look = kept === undefined ? undefined : `its files are kept: kbuild run ${kept} COMMAND`;
  const hint = [reason, look].filter((each) => each !== undefined).join("\n") || undefined;
  return new KbuildError(
    "build.run",
    `process "${command}" did not complete successfully: exit code: ${code}`,
    hint === undefined ? {} : { hint },
  );
}

/**
 * Takes what a process changed into the store, unless a layer of the same content on the same parent is there already:
 * then that one is kept, and what follows stays a hit. Gives the parent itself when nothing was changed.
 */
async function adopt(tools: Tools, parent: Snapshot, changes: Changes, useCache: boolean): Promise<Snapshot> {
  const { packed } = changes;
  try {
    if (packed === undefined) {
      await changes.keep(undefined);
      return parent;
    }
    const content = identityOf("snapshot", parent.content, packed.content);
    const key = contentKey(content, tools);
    const kept = useCache ? tools.cache.layerOfContent(key) : undefined;
    if (kept !== undefined) {
      for (const path of [packed.output, packed.index]) rmSync(path, { force: true });
      await changes.keep(kept);
      return stack(parent, kept, content);
    }
    const { layer } = packed;
    tools.store.adoptBlob(packed.output, layer.blob.digest, layer.blob.size);
    tools.pool.keepIndex(layer.diffId, packed.index, packed.tarSize);
    tools.cache.putLayerOfContent(key, layer);
    await changes.keep(layer);
    return stack(parent, layer, content);
  } catch (error) {
    await changes.discard();
    throw error;
  }
}
