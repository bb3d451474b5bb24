import { KbuildError, type Location } from "../errors.ts";
import { parsePlatform } from "../oci/platform.ts";
import type { Platform } from "../oci/types.ts";
import { shown } from "../parser/characters.ts";
import type { ArgInstruction, Dockerfile, Instruction, Stage, Word } from "../parser/instructions.ts";
import { suggest } from "../parser/suggest.ts";
import { expandWord } from "../parser/words.ts";
import { platformArguments } from "./arguments.ts";
import { isContextName } from "./context-names.ts";
import { StageNames } from "./stage-names.ts";

/** Where a stage or a `--from` takes its files from. */
export type Origin =
  | { readonly kind: "scratch" }
  | { readonly kind: "stage"; readonly index: number }
  | { readonly kind: "context"; readonly name: string }
  | { readonly kind: "image"; readonly name: string };

/** A stage with its FROM expanded and its needs known. */
export interface PlannedStage {
  readonly stage: Stage;
  readonly name: string | undefined;
  readonly origin: Origin;
  readonly platform: Platform;
  readonly instructions: readonly Instruction[];
  /** Numbers of the stages that it builds on or copies from. */
  readonly needs: readonly number[];
}

/** What is to be built, decided before anything runs. */
export interface Plan {
  readonly dockerfile: Dockerfile;
  readonly names: StageNames;
  /** All stages of the file; only those in `needed` are built. */
  readonly stages: readonly PlannedStage[];
  readonly target: number;
  readonly needed: ReadonlySet<number>;
  /** Values of the ARGs before the first FROM. */
  readonly globals: ReadonlyMap<string, string | undefined>;
  /** The target as it was asked for, `default` when it was not: what TARGETSTAGE is. */
  readonly targetName: string;
  readonly buildPlatform: Platform;
  readonly targetPlatform: Platform;
}

/** What a plan is made from besides the Dockerfile. */
export interface PlanInput {
  readonly target: string | undefined;
  readonly given: ReadonlyMap<string, string>;
  readonly buildPlatform: Platform;
  readonly targetPlatform: Platform;
  /** Names of `--build-context`: they win over stages and images of that name. */
  readonly contextNames: ReadonlySet<string>;
}

/**
 * The stage graph of a Dockerfile.
 * @throws KbuildError `build.unknownStage`, `build.stageCircle`, `build.blankBase`, `build.expand`, `build.platform`
 */
export function planBuild(dockerfile: Dockerfile, input: PlanInput): Plan {
  const names = new StageNames(dockerfile.stages);
  const target = findTarget(dockerfile, names, input.target);
  const targetName = input.target || "default";
  const automatic = platformArguments(input.buildPlatform, input.targetPlatform, targetName);
  const globals = evaluateGlobals(dockerfile, input.given, automatic);
  const stages: PlannedStage[] = [];
  for (const stage of dockerfile.stages) {
    stages.push(planStage(dockerfile, names, stage, stages, globals, automatic, input));
  }
  return {
    dockerfile,
    names,
    stages,
    target,
    needed: reachableStages(dockerfile, stages, target, (index) => stages[index]?.needs ?? []),
    globals,
    targetName,
    buildPlatform: input.buildPlatform,
    targetPlatform: input.targetPlatform,
  };
}

function planStage(
  dockerfile: Dockerfile,
  names: StageNames,
  stage: Stage,
  before: readonly PlannedStage[],
  globals: ReadonlyMap<string, string | undefined>,
  automatic: ReadonlyMap<string, string>,
  input: PlanInput,
): PlannedStage {
  const name = stage.from.name?.text;
  if (name !== undefined && isContextName(input.contextNames, name)) {
    // The context stands for the stage, whoever refers to it and how.
    const origin = { kind: "context", name } as const;
    return { stage, name, origin, platform: input.targetPlatform, instructions: [], needs: [] };
  }
  const lookup = (name: string) => globals.get(name) ?? automatic.get(name);
  const image = expandInFrom(dockerfile, stage.from.image, lookup, globals, automatic).trim();
  if (image === "") {
    throw new KbuildError("build.blankBase", `the base image ${shown(stage.from.image.text)} is blank`, {
      location: stage.from.image.location,
      source: dockerfile.source,
      hint: "give the ARG before FROM a default, or pass it with --build-arg",
    });
  }
  const origin = findOrigin(image, names, stage.index, input.contextNames);
  const platform = stagePlatform(dockerfile, stage, origin, before, lookup, globals, automatic, input);
  const needs = new Set<number>();
  if (origin.kind === "stage") needs.add(origin.index);
  for (const instruction of stage.instructions) {
    for (const from of stageReferences(instruction)) {
      const index = findStageReference(dockerfile, names, from, stage.index, input.contextNames);
      if (index === stage.index) throw selfReference(dockerfile, from);
      if (index !== undefined) needs.add(index);
    }
  }
  return {
    stage,
    name,
    origin,
    platform,
    instructions: stage.instructions,
    needs: [...needs],
  };
}

function selfReference(dockerfile: Dockerfile, from: Word): KbuildError {
  return new KbuildError("build.stageCircle", `the stage "${shown(from.text)}" cannot copy from itself`, {
    location: from.location,
    source: dockerfile.source,
    hint: "files of this stage are there already; to copy from an image of that name, rename the stage",
  });
}

function stagePlatform(
  dockerfile: Dockerfile,
  stage: Stage,
  origin: Origin,
  before: readonly PlannedStage[],
  lookup: (name: string) => string | undefined,
  globals: ReadonlyMap<string, string | undefined>,
  automatic: ReadonlyMap<string, string>,
  input: PlanInput,
): Platform {
  const word = stage.from.platform;
  if (word === undefined) {
    return (origin.kind === "stage" ? before[origin.index]?.platform : undefined) ?? input.targetPlatform;
  }
  const text = expandInFrom(dockerfile, word, lookup, globals, automatic);
  try {
    return parsePlatform(text);
  } catch (cause) {
    throw new KbuildError("build.platform", `"${shown(text)}" is not a platform`, {
      location: word.location,
      source: dockerfile.source,
      hint: "a platform is written OS/ARCHITECTURE[/VARIANT], for instance linux/arm64",
      cause,
    });
  }
}

/** Expands a word of FROM; a variable that only a stage knows is told to be out of reach there. */
function expandInFrom(
  dockerfile: Dockerfile,
  word: Word,
  lookup: (name: string) => string | undefined,
  globals: ReadonlyMap<string, string | undefined>,
  automatic: ReadonlyMap<string, string>,
): string {
  const unset: string[] = [];
  const value = withPlace(dockerfile, word.location, () =>
    expandWord(word.text, lookup, dockerfile.directives.escape, { onUnset: (name) => unset.push(name) }),
  );
  const unknown = unset.find((name) => !globals.has(name));
  if (unknown !== undefined && value.trim() === "") {
    const near = suggest(unknown, [...globals.keys(), ...automatic.keys()]);
    throw new KbuildError(
      "build.unknownVariable",
      `FROM uses the variable ${shown(unknown)}, which is not declared before it`,
      {
        location: word.location,
        source: dockerfile.source,
        hint: near === undefined ? `put ARG ${shown(unknown)}=… before the first FROM` : `did you mean ${near}?`,
      },
    );
  }
  return value;
}

/** Runs something and adds the place to an error that has none. */
export function withPlace<T>(dockerfile: Dockerfile, location: Location, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof KbuildError ? error.with({ location, source: dockerfile.source }) : error;
  }
}

/** The values of the ARGs before the first FROM. */
export function evaluateGlobals(
  dockerfile: Dockerfile,
  given: ReadonlyMap<string, string>,
  automatic: ReadonlyMap<string, string>,
): Map<string, string | undefined> {
  const globals = new Map<string, string | undefined>();
  for (const instruction of dockerfile.globalArguments) {
    evaluateArguments(
      dockerfile,
      instruction,
      given,
      (name, value) => {
        globals.set(name, given.get(name) ?? value ?? automatic.get(name));
      },
      (name) => globals.get(name) ?? automatic.get(name),
    );
  }
  return globals;
}

/** Goes through the items of an ARG with their defaults expanded; that of one that is given is not read. */
export function evaluateArguments(
  dockerfile: Dockerfile,
  instruction: ArgInstruction,
  given: ReadonlyMap<string, string>,
  declare: (name: string, value: string | undefined) => void,
  lookup: (name: string) => string | undefined,
): void {
  for (const item of instruction.items) {
    const { value } = item;
    const expanded =
      value === undefined || given.has(item.name)
        ? undefined
        : withPlace(dockerfile, value.location, () => expandWord(value.text, lookup, dockerfile.directives.escape));
    declare(item.name, expanded);
  }
}

function findTarget(dockerfile: Dockerfile, stageNames: StageNames, target: string | undefined): number {
  const count = dockerfile.stages.length;
  if (target === undefined || target === "") return count - 1;
  const wanted = target.toLowerCase();
  const found = stageNames.before(wanted, count);
  if (found !== undefined) return found;
  const names = dockerfile.stages.flatMap((stage) => stage.from.name?.text ?? []);
  const near = suggest(wanted, names);
  throw new KbuildError("build.unknownStage", `the Dockerfile has no stage named "${shown(target)}"`, {
    hint:
      near !== undefined
        ? `did you mean ${near}?`
        : names.length > 0
          ? `its stages are ${shown(names.join(", "), 400)}`
          : "name a stage with FROM … AS NAME",
  });
}

/** What a name in the FROM of stage `current` means: a named context, an earlier stage, or an image. */
function findOrigin(name: string, names: StageNames, current: number, contextNames: ReadonlySet<string>): Origin {
  if (isContextName(contextNames, name)) return { kind: "context", name };
  const index = names.before(name.toLowerCase(), current);
  if (index !== undefined) return { kind: "stage", index };
  return name === "scratch" ? { kind: "scratch" } : { kind: "image", name };
}

/** The words of an instruction that may name a stage: `COPY --from`, `RUN --mount=…,from=`. */
function stageReferences(instruction: Instruction): readonly Word[] {
  if (instruction.kind === "COPY") return instruction.from === undefined ? NOTHING : [instruction.from];
  if (instruction.kind !== "RUN" || instruction.mounts.length === 0) return NOTHING;
  return instruction.mounts.flatMap((mount) =>
    mount.type === "bind" || mount.type === "cache" ? (mount.from ?? NOTHING) : NOTHING,
  );
}

const NOTHING: readonly Word[] = [];

/**
 * The stage that a `--from` names, by number or by name; undefined when it names something else.
 * Later stages count as well: the graph has no order but its edges.
 */
export function findStageReference(
  { stages, source }: Pick<Dockerfile, "stages" | "source">,
  names: StageNames,
  from: Word,
  current: number,
  contextNames: ReadonlySet<string>,
): number | undefined {
  if (from.text.includes("$")) {
    throw new KbuildError("build.fromVariable", `--from=${from.text}: variables are not expanded here`, {
      location: from.location,
      source,
      hint: "give the image a stage of its own: FROM $NAME AS stage, with ARG NAME before the first FROM",
    });
  }
  if (isContextName(contextNames, from.text)) return undefined;
  const wanted = from.text.toLowerCase();
  const named = names.before(wanted, current + 1) ?? names.from(wanted, current + 1);
  if (named !== undefined) return named;
  if (!/^\d+$/.test(wanted)) return undefined;
  const index = Number(wanted);
  if (index < stages.length) return index;
  throw new KbuildError("build.unknownStage", `there is no stage number ${shown(wanted)}`, {
    location: from.location,
    source,
    hint: `the Dockerfile has ${stages.length} stage${stages.length === 1 ? "" : "s"}, numbered from 0`,
  });
}

/**
 * A stage and all that it needs.
 * @throws KbuildError `build.stageCircle` for a circle among them, which it names
 */
export function reachableStages(
  dockerfile: Dockerfile,
  stages: readonly PlannedStage[],
  target: number,
  needs: (index: number) => Iterable<number>,
): Set<number> {
  const done = new Set<number>();
  /** Stages on the way from the target to where the walk is, with the needs that it has not gone yet. */
  const way: { readonly index: number; readonly rest: number[] }[] = [];
  const onWay = new Set<number>();
  // No recursion: a file can have more stages than the stack has room for.
  const enter = (index: number): void => {
    way.push({ index, rest: [...needs(index)].reverse() });
    onWay.add(index);
  };
  enter(target);
  for (let last = way.at(-1); last !== undefined; last = way.at(-1)) {
    const next = last.rest.pop();
    if (next === undefined) {
      way.pop();
      onWay.delete(last.index);
      done.add(last.index);
    } else if (onWay.has(next)) {
      const walked = way.map(({ index }) => index);
      throw stageCircle(dockerfile, stages, [...walked.slice(walked.indexOf(next)), next]);
    } else if (!done.has(next)) {
      enter(next);
    }
  }
  return done;
}

function stageCircle(dockerfile: Dockerfile, stages: readonly PlannedStage[], circle: readonly number[]): KbuildError {
  const names = circle.map((member) => stages[member]?.name ?? String(member));
  return new KbuildError("build.stageCircle", `stages need each other in a circle: ${shown(names.join(" -> "), 400)}`, {
    location: stages[circle[0] ?? 0]?.stage.from.location,
    source: dockerfile.source,
  });
}

/** How messages call a stage. */
export function stageLabel(planned: PlannedStage): string {
  return planned.name ?? `stage-${planned.stage.index}`;
}
