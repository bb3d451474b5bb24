import { KbuildError, type Location } from "../errors.ts";
import { identityOf } from "../layers/identity.ts";
import type { Word } from "../parser/instructions.ts";
import { suggest } from "../parser/suggest.ts";
import { type BaseFinder, type BaseImage, scratchState, stateOfImage } from "./base.ts";
import { stateOfContext } from "./context-base.ts";
import { isContextName } from "./context-names.ts";
import { SnapshotSource } from "./copy/snapshot-source.ts";
import type { SourceTree } from "./copy/sources.ts";
import type { Emitter } from "./emitter.ts";
import { findStageReference, type Plan, type PlannedStage, reachableStages, stageLabel } from "./plan.ts";
import type { Remotes } from "./remote/remotes.ts";
import type { RunSupplies } from "./run/prepare.ts";
import { runStage, type StageBase, type StageResult } from "./stage.ts";
import type { ImageState, Snapshot } from "./state.ts";
import type { Tools } from "./tools.ts";

/** What the stages of a build are run with. */
export interface StageGraphOptions {
  readonly tools: Tools;
  readonly emitter: Emitter;
  readonly plan: Plan;
  /** What the names of steps begin with: the platform, when there are several. */
  readonly prefix: string | undefined;
  readonly finder: BaseFinder;
  readonly given: ReadonlyMap<string, string>;
  readonly contextNames: ReadonlySet<string>;
  /** Files of the build context. */
  readonly context: () => Promise<SourceTree>;
  /** Files of a named context that is a folder; undefined when the name is another kind. */
  readonly namedContext: (name: string) => Promise<SourceTree | undefined>;
  readonly remotes: () => Promise<Remotes>;
  readonly ignoreRule: (rule: number) => string;
  readonly supplies: RunSupplies;
  readonly noCache: boolean;
  readonly noCacheFilter: readonly string[];
  readonly explain: boolean;
  readonly place: string;
}

/** Runs the stages that are needed, each once and as soon as what it begins with is there. */
export class StageGraph {
  readonly #options: StageGraphOptions;
  readonly #results = new Map<number, Promise<StageResult>>();
  /** Which stages ask for which beyond what the plan knows: an ONBUILD trigger can. */
  readonly #unplanned = new Map<number, Set<number>>();

  constructor(options: StageGraphOptions) {
    this.#options = options;
  }

  /**
   * Runs all needed stages; gives the target's outcome. When one fails, `stop` is called so that the others end, and all
   * have ended when this throws.
   */
  async run(stop: () => void): Promise<StageResult> {
    const { plan } = this.#options;
    let failure: { readonly reason: unknown } | undefined;
    const running = [...plan.needed].map((index) =>
      this.#result(index).catch((reason: unknown) => {
        failure ??= { reason };
        stop();
      }),
    );
    await Promise.all(running);
    if (failure !== undefined) throw failure.reason;
    return this.#result(plan.target);
  }

  /** Gives the images that were pulled their names in the store. */
  keepNames(): Promise<void> {
    return this.#options.finder.keepNames();
  }

  #result(index: number): Promise<StageResult> {
    let result = this.#results.get(index);
    if (result === undefined) {
      result = this.#start(index);
      this.#results.set(index, result);
    }
    return result;
  }

  async #start(index: number): Promise<StageResult> {
    const { tools, emitter, plan, prefix, finder, given, explain, place, remotes, ignoreRule, supplies } =
      this.#options;
    const planned = plan.stages[index];
    if (planned === undefined) throw new KbuildError("internal.plan", `there is no stage ${index}`);
    const { base, image } = await this.#base(planned);
    return runStage({
      tools,
      emitter,
      plan,
      planned,
      given,
      base,
      onFrom: (reporter) => {
        if (image !== undefined) finder.fetchLayers(image, reporter, runs(planned, base.triggers));
      },
      sourceTree: (from, location) => this.#sourceTree(planned, from, location),
      remotes,
      ignoreRule,
      supplies,
      useCache: !this.#options.noCache && !this.#isFiltered(planned),
      explain,
      place,
      prefix,
      isOneOfMany: plan.dockerfile.stages.length > 1,
    });
  }

  #isFiltered(planned: PlannedStage): boolean {
    const names = [planned.name, stageLabel(planned), String(planned.stage.index)];
    return this.#options.noCacheFilter.some((name) => names.includes(name.toLowerCase()));
  }

  async #base(planned: PlannedStage): Promise<{ readonly base: StageBase; readonly image: BaseImage | undefined }> {
    const { origin, platform, stage } = planned;
    switch (origin.kind) {
      case "scratch":
        return {
          base: beginning(scratchState(platform), undefined, []),
          image: undefined,
        };
      case "stage": {
        const result = await this.#await(planned.stage.index, origin.index, stage.from.image.location);
        const { OnBuild: triggers = [], ...config } = result.state.config;
        const state: ImageState = { ...result.state, config };
        const { arguments: inherited, origin: first } = result;
        return { base: { state, origin: first, arguments: inherited, label: undefined, triggers }, image: undefined };
      }
      case "context":
      case "image": {
        const state = origin.kind === "context" ? await this.#contextState(origin.name, planned) : undefined;
        if (state !== undefined) return { base: beginning(state, undefined, []), image: undefined };
        const image = await this.#image(origin.name, planned, stage.from.image.location);
        const triggers = image.config.config?.OnBuild ?? [];
        return { base: beginning(stateOfImage(image), image.label, triggers), image };
      }
    }
  }

  /** Undefined when the named context is an image. */
  async #contextState(name: string, planned: PlannedStage): Promise<ImageState | undefined> {
    const { tools, emitter, noCache, explain, place, namedContext, plan } = this.#options;
    const { location } = planned.stage.from.image;
    try {
      const tree = await namedContext(name);
      if (tree === undefined) return undefined;
      return await stateOfContext(tools, emitter, {
        name,
        tree,
        platform: planned.platform,
        location,
        stage: stageLabel(planned),
        place: identityOf(place, "context", name),
        useCache: !noCache && !this.#isFiltered(planned),
        explain,
      });
    } catch (error) {
      if (!(error instanceof KbuildError) || error.code === "interrupted" || error.location !== undefined) throw error;
      throw error.with({ location, source: plan.dockerfile.source });
    }
  }

  async #image(name: string, planned: PlannedStage, location: Location): Promise<BaseImage> {
    const { finder, plan } = this.#options;
    try {
      return await finder.image(name, planned.platform);
    } catch (error) {
      if (!(error instanceof KbuildError)) throw error;
      const near = suggest(
        name.toLowerCase(),
        plan.stages.flatMap((stage) => stage.name ?? []),
      );
      const stageHint = near === undefined ? undefined : `did you mean the stage ${near}?`;
      const hint = stageHint ?? error.hint;
      throw new KbuildError(error.code, error.message, {
        location,
        source: plan.dockerfile.source,
        hint,
        cause: error.cause ?? error,
      });
    }
  }

  /** Waits for another stage. Two that wait for each other would wait for ever; in what is planned there are none. */
  #await(waiting: number, index: number, location: Location): Promise<StageResult> {
    const { plan } = this.#options;
    if (plan.stages[waiting]?.needs.includes(index) !== true) {
      const unplanned = this.#unplanned.get(waiting) ?? new Set();
      this.#unplanned.set(waiting, unplanned.add(index));
      try {
        reachableStages(plan.dockerfile, plan.stages, waiting, (stage) => [
          ...(plan.stages[stage]?.needs ?? []),
          ...(this.#unplanned.get(stage) ?? []),
        ]);
      } catch (error) {
        if (!(error instanceof KbuildError)) throw error;
        throw new KbuildError(error.code, error.message, { location, source: plan.dockerfile.source });
      }
    }
    return this.#result(index);
  }

  async #sourceTree(planned: PlannedStage, from: Word | undefined, location: Location): Promise<SourceTree> {
    if (from === undefined) return this.#options.context();
    const { plan, contextNames, emitter, finder, namedContext } = this.#options;
    const index = findStageReference(plan.dockerfile, plan.names, from, planned.stage.index, contextNames);
    if (index !== undefined) {
      const result = await this.#await(planned.stage.index, index, from.location);
      const name = plan.stages[index]?.name ?? String(index);
      return this.#filesOf(`the stage "${name}"`, result.state.snapshot);
    }
    if (isContextName(contextNames, from.text)) {
      const folder = await namedContext(from.text);
      if (folder !== undefined) return folder;
    }
    const image = await this.#image(from.text, planned, from.location);
    finder.fetchLayers(
      image,
      emitter.plan({ name: `FROM ${image.label}`, kind: "from", location, stage: stageLabel(planned) }),
      false,
    );
    return this.#filesOf(`the image ${from.text}`, stateOfImage(image).snapshot);
  }

  async #filesOf(label: string, snapshot: Snapshot): Promise<SourceTree> {
    const { pool } = this.#options.tools;
    const tree = await pool.tree(snapshot);
    const blobs = await Promise.all(snapshot.layers.map((layer) => pool.source(layer)));
    return new SnapshotSource(label, tree, blobs, snapshot);
  }
}

function beginning(state: ImageState, label: string | undefined, triggers: readonly string[]): StageBase {
  return { state, origin: state, arguments: new Map(), label, triggers };
}

/** Whether a stage will run a process on its base. */
function runs({ instructions }: PlannedStage, triggers: readonly string[]): boolean {
  return instructions.some(({ kind }) => kind === "RUN") || triggers.some((trigger) => /^\s*RUN\b/i.test(trigger));
}
