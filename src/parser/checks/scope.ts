import { KbuildError } from "../../errors.ts";
import type { Escape } from "../directives.ts";
import type { Dockerfile, Instruction, Stage, Word } from "../instructions.ts";
import { expandWord, type Lookup } from "../words.ts";
import type { StageFacts } from "./rule.ts";

/** What holds in a stage in front of an instruction. It changes as the stage is gone through. */
export interface Scope {
  /** Variables that have a value: of the base, of ENV, of ARG. */
  readonly values: ReadonlyMap<string, string>;
  /** Names that an ARG has declared, with a value or without. */
  readonly declared: ReadonlySet<string>;
  /** Whether `values` has all: the base's configuration is known. */
  readonly isComplete: boolean;
  readonly hasShell: boolean;
  /** Whether a WORKDIR of this file came before. */
  readonly hasWorkdir: boolean;
}

/** A word after its expansion, and the variables that had no value. */
export interface Expanded {
  readonly text: string;
  /** Each once. As BuildKit has it, one with a default (`${A:-b}`) counts as well. */
  readonly unset: ReadonlySet<string>;
  readonly used: ReadonlySet<string>;
}

type Values = ReadonlyMap<string, string | undefined>;

/** Expands a word; undefined when that fails, which the build will tell. */
export function expandIn(
  text: string,
  values: Values,
  escapeCharacter: Escape,
  expand: (text: string, lookup: Lookup, escapeCharacter: Escape) => string = expandWord,
): Expanded | undefined {
  const unset = new Set<string>();
  const used = new Set<string>();
  const lookup = (name: string): string | undefined => {
    const value = values.get(name);
    (value === undefined ? unset : used).add(name);
    return value;
  };
  try {
    return { text: expand(text, lookup, escapeCharacter), unset, used };
  } catch (error) {
    if (error instanceof KbuildError) return undefined;
    throw error;
  }
}

class StageScope implements Scope {
  readonly values: Map<string, string>;
  readonly declared: Set<string>;
  isComplete: boolean;
  hasShell: boolean;
  hasWorkdir: boolean;

  constructor(values: Iterable<readonly [string, string]>, from: Omit<Scope, "values">) {
    this.values = new Map(values);
    this.declared = new Set(from.declared);
    this.isComplete = from.isComplete;
    this.hasShell = from.hasShell;
    this.hasWorkdir = from.hasWorkdir;
    // An image without one gets the usual.
    if (!this.values.has("PATH")) this.values.set("PATH", "");
  }
}

const NOTHING = { declared: new Set<string>(), hasShell: false, hasWorkdir: false };

/**
 * Goes through the stages that are looked into as a build would, without running anything: `enter` gives what is called
 * for each of a stage's instructions, with what holds in front of it.
 */
export function walkStages(
  dockerfile: Dockerfile,
  facts: StageFacts,
  enter: (stage: Stage) => (instruction: Instruction, scope: Scope) => void,
): void {
  const ends = new Map<number, StageScope>();
  /** The last stage that builds on each: it may have the other's scope itself, where copies of copies would add up. */
  const heirs = new Map<number, number>();
  for (const [index, base] of facts.bases.entries()) {
    if (base.kind === "stage" && facts.stages.has(index)) heirs.set(base.index, index);
  }
  for (const stage of dockerfile.stages) {
    if (!facts.stages.has(stage.index)) continue;
    const { scope, triggers } = begin(dockerfile, stage, facts, ends, heirs);
    // What the triggers of a base do is not this file's fault: they only count for what they set.
    for (const trigger of triggers) apply(trigger, scope, dockerfile, facts);
    const visit = enter(stage);
    for (const instruction of stage.instructions) {
      visit(instruction, scope);
      apply(instruction, scope, dockerfile, facts);
    }
    ends.set(stage.index, scope);
  }
}

function begin(
  dockerfile: Dockerfile,
  stage: Stage,
  facts: StageFacts,
  ends: ReadonlyMap<number, StageScope>,
  heirs: ReadonlyMap<number, number>,
): { readonly scope: StageScope; readonly triggers: readonly Instruction[] } {
  const base = facts.bases[stage.index] ?? { kind: "unknown" };
  switch (base.kind) {
    case "stage": {
      const end = ends.get(base.index);
      if (end === undefined) return { scope: new StageScope([], { ...NOTHING, isComplete: false }), triggers: [] };
      const own = dockerfile.stages[base.index]?.instructions ?? [];
      const triggers = own.flatMap((one) => (one.kind === "ONBUILD" ? [one.instruction] : []));
      return { scope: heirs.get(base.index) === stage.index ? end : new StageScope(end.values, end), triggers };
    }
    case "known": {
      const { environment, hasShell, triggers } = base;
      return { scope: new StageScope(environment, { ...NOTHING, hasShell, isComplete: true }), triggers };
    }
    case "unknown":
      return { scope: new StageScope([], { ...NOTHING, isComplete: false }), triggers: [] };
  }
}

/** What an instruction changes for those that follow. */
function apply(instruction: Instruction, scope: StageScope, dockerfile: Dockerfile, facts: StageFacts): void {
  const { escape: escapeCharacter } = dockerfile.directives;
  switch (instruction.kind) {
    case "ARG":
      for (const { name, value } of instruction.items) {
        const text = argumentValue(name, value, scope.values, escapeCharacter, facts);
        scope.declared.add(name);
        if (text !== undefined) scope.values.set(name, text);
      }
      break;
    case "ENV": {
      const pairs = instruction.pairs.map(({ name, value }) => [
        expandIn(name.text, scope.values, escapeCharacter)?.text ?? name.text,
        expandIn(value.text, scope.values, escapeCharacter)?.text ?? "",
      ]);
      for (const [name = "", value = ""] of pairs) scope.values.set(name, value);
      break;
    }
    case "SHELL":
      scope.hasShell = true;
      break;
    case "WORKDIR":
      scope.hasWorkdir = true;
      break;
  }
}

/** The value of an ARG in a stage: the one given, its default, or what the ARG before FROM or the machine says. */
export function argumentValue(
  name: string,
  value: Word | undefined,
  values: Values,
  escapeCharacter: Escape,
  { given, globals, automatic }: Pick<StageFacts, "given" | "globals" | "automatic">,
): string | undefined {
  const chosen = given.get(name);
  if (chosen !== undefined) return chosen;
  if (value !== undefined) return expandIn(value.text, values, escapeCharacter)?.text;
  return globals.has(name) ? globals.get(name) : automatic.get(name);
}
