import { posix } from "node:path";
import { KbuildError, type Location } from "../../errors.ts";
import { descriptionOf } from "../../parser/checks/descriptions.ts";
import { argumentValue, expandIn, type Scope, walkStages } from "../../parser/checks/scope.ts";
import type { ArgInstruction, Dockerfile, Instruction, RunMount, Word } from "../../parser/instructions.ts";
import { MOUNT_VALUES } from "../../parser/mount-values.ts";
import { parseDockerfile } from "../../parser/parser.ts";
import type { Plan } from "../plan.ts";
import { stageBase, stageFacts } from "./facts.ts";
import { planOf } from "./report.ts";
import { type DockerfileOptions, type DockerfileSources, readSources } from "./sources.ts";

/** What a build of a target can be told, each once, in the order of the file. */
export interface Outline {
  readonly file: string;
  readonly source: string;
  /** The target's name; undefined when it has none. */
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly args: readonly OutlinedArgument[];
  readonly secrets: readonly OutlinedNeed[];
  readonly ssh: readonly OutlinedNeed[];
}

export interface OutlinedArgument {
  readonly name: string;
  readonly description: string | undefined;
  /** With the arguments that were given; undefined when it has none. */
  readonly value: string | undefined;
  readonly location: Location;
}

/** A secret or an agent that a step asks for. */
export interface OutlinedNeed {
  readonly name: string;
  readonly required: boolean;
  readonly location: Location;
}

/** The stages that can be built. */
export interface TargetList {
  readonly file: string;
  readonly source: string;
  readonly targets: readonly Target[];
}

export interface Target {
  readonly name: string | undefined;
  readonly description: string | undefined;
  /** Whether it is built when no target is named. */
  readonly default: boolean;
  /** The image or stage that it begins with, and its platform, as they are written. */
  readonly base: string;
  readonly platform: string | undefined;
  readonly location: Location;
}

/**
 * Lists the stages of a Dockerfile.
 * @throws KbuildError `build.*`, `usage.*`
 */
export async function listTargets(options: DockerfileOptions): Promise<TargetList> {
  const { name: file, text: source } = await readSources(options);
  const { stages } = parseDockerfile(source, file);
  const targets = stages.map(({ index, from }): Target => {
    const name = from.name?.text;
    return {
      name,
      description: name === undefined ? undefined : descriptionOf(name, from.comments),
      default: index === stages.length - 1,
      base: from.image.text,
      platform: from.platform?.text,
      location: from.location,
    };
  });
  return { file, source, targets };
}

/**
 * Lists what the build of a target can be told: arguments, secrets, agents.
 * @throws KbuildError `build.*`, `usage.*`
 */
export async function outlineTarget(options: DockerfileOptions): Promise<Outline> {
  const sources = await readSources(options);
  const plan = planOf(options, sources);
  const target = plan.stages[plan.target];
  if (target === undefined) throw new KbuildError("internal.plan", "the target is no stage");
  const { from } = target.stage;
  const needs = new Needs(plan, sources);
  return {
    file: sources.name,
    source: sources.text,
    name: target.name,
    description: target.name === undefined ? undefined : descriptionOf(target.name, from.comments),
    args: needs.args(),
    secrets: inOrder(needs.secrets.values()),
    ssh: inOrder(needs.ssh.values()),
  };
}

/** What is met on the way through the stages that the target needs. */
class Needs {
  readonly secrets = new Map<string, OutlinedNeed>();
  readonly ssh = new Map<string, OutlinedNeed>();
  readonly #args = new Map<string, OutlinedArgument>();
  readonly #used = new Set<string>();
  readonly #dockerfile: Dockerfile;

  constructor(plan: Plan, { inputs }: DockerfileSources) {
    const { dockerfile, needed, stages, globals } = plan;
    this.#dockerfile = dockerfile;
    const bases = stages.map((stage) => stageBase(stage, undefined));
    const facts = stageFacts(plan, inputs, [], needed, bases);
    for (const instruction of dockerfile.globalArguments) {
      for (const { name } of instruction.items) this.#define(instruction, name, globals.get(name));
    }
    for (const { stage } of stages) {
      if (!needed.has(stage.index)) continue;
      const { image, platform } = stage.from;
      for (const word of platform === undefined ? [image] : [image, platform]) this.#use(word, globals);
    }
    walkStages(dockerfile, facts, () => (instruction, scope) => {
      if (instruction.kind === "RUN") for (const mount of instruction.mounts) this.#mount(instruction, mount, scope);
      if (instruction.kind !== "ARG") return;
      for (const { name, value } of instruction.items) {
        this.#used.add(name);
        // One that only takes over what was declared before FROM is that one.
        const isInherited = value === undefined && !inputs.given.has(name);
        if (isInherited && (globals.has(name) || facts.automatic.has(name))) continue;
        const { escapeCharacter } = facts;
        this.#define(instruction, name, argumentValue(name, value, scope.values, escapeCharacter, facts));
      }
    });
  }

  /** The arguments that something uses, those included that only the defaults of others do. */
  args(): readonly OutlinedArgument[] {
    const items = this.#dockerfile.globalArguments.flatMap(({ items }) => items);
    for (const { name, value } of [...items].reverse()) if (value && this.#used.has(name)) this.#use(value, this.#args);
    return inOrder([...this.#args.values()].filter(({ name }) => this.#used.has(name)));
  }

  #define(instruction: ArgInstruction, name: string, value: string | undefined): void {
    const { location, comments } = instruction;
    this.#args.set(name, { name, description: descriptionOf(name, comments), value, location });
  }

  #use(word: Word, names: ReadonlyMap<string, unknown>): void {
    const expanded = expandIn(word.text, new Map<string, string>(), this.#dockerfile.directives.escape);
    for (const name of expanded?.unset ?? []) if (names.has(name)) this.#used.add(name);
  }

  #mount({ location }: Instruction, mount: RunMount, { values }: Scope): void {
    if (mount.type !== "secret" && mount.type !== "ssh") return;
    const text = (word: Word | undefined) =>
      word && expandIn(word.text, values, this.#dockerfile.directives.escape)?.text;
    const required = MOUNT_VALUES.required.parse(text(mount.required) ?? "") === true;
    const target = text(mount.target) ?? "";
    const name = text(mount.id) || (mount.type === "ssh" ? "default" : posix.basename(target));
    const needs = mount.type === "ssh" ? this.ssh : this.secrets;
    if (!needs.has(name)) needs.set(name, { name, required, location });
  }
}

function inOrder<T extends { readonly location: Location }>(found: Iterable<T>): readonly T[] {
  return [...found].sort((one, other) => one.location.line - other.location.line);
}
