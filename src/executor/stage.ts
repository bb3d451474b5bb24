import { KbuildError, type Location } from "../errors.ts";
import { identityOf } from "../layers/identity.ts";
import type { History } from "../oci/types.ts";
import type { CopyInstruction, Heredoc, Instruction, RunInstruction, Word } from "../parser/instructions.ts";
import { parseDockerfile } from "../parser/parser.ts";
import { expandHeredoc, expandWord, expandWords } from "../parser/words.ts";
import { isProxyArgument, platformArguments } from "./arguments.ts";
import { KEY_VERSION } from "./cache.ts";
import type { SourceTree } from "./copy/sources.ts";
import type { Emitter, StepReporter } from "./emitter.ts";
import { joinAbsolute } from "./image-path.ts";
import { evaluateArguments, type Plan, type PlannedStage, stageLabel, withPlace } from "./plan.ts";
import { showGitAddress, withoutLogins } from "./remote/git-url.ts";
import type { Remotes } from "./remote/remotes.ts";
import { prepareRun, type RunSupplies } from "./run/prepare.ts";
import { environmentOf, type ImageState, lookupVariable, type Scope } from "./state.ts";
import { applyConfig } from "./steps/config.ts";
import { type CopySource, runCopy } from "./steps/copy.ts";
import { type AddressSource, flagText, namedSources } from "./steps/named-sources.ts";
import { runProcess } from "./steps/run.ts";
import type { StepOutcome } from "./steps/step-record.ts";
import { runWorkdir } from "./steps/workdir.ts";
import type { Tools } from "./tools.ts";
import { readFile } from "./tree-file.ts";

/** A stage that has been built. */
export interface StageResult {
  readonly state: ImageState;
  /** The image that all began with. */
  readonly origin: ImageState;
  /** Its build arguments, which a stage that builds on it inherits. */
  readonly arguments: ReadonlyMap<string, string | undefined>;
}

/** What a stage builds on. */
export interface StageBase extends StageResult {
  /** What the FROM step is called. Absent for `scratch` and another stage, which make no step of their own, as with docker. */
  readonly label: string | undefined;
  /** ONBUILD triggers, which run before the stage's own instructions. */
  readonly triggers: readonly string[];
}

/** What a stage is run with. */
export interface StageRun {
  readonly tools: Tools;
  readonly emitter: Emitter;
  readonly plan: Plan;
  readonly planned: PlannedStage;
  readonly given: ReadonlyMap<string, string>;
  readonly base: StageBase;
  /** Told when the stage's steps are known, if it builds on an image: the reporter of the FROM step. */
  readonly onFrom: (reporter: StepReporter) => void;
  /** The files that a COPY or ADD takes from. */
  readonly sourceTree: (from: Word | undefined, location: Location) => Promise<SourceTree>;
  /** Files and repositories of other machines. */
  readonly remotes: () => Promise<Remotes>;
  /** Line of the ignore file that a rule is from, as messages name it. */
  readonly ignoreRule: (rule: number) => string;
  readonly supplies: RunSupplies;
  readonly useCache: boolean;
  readonly explain: boolean;
  /** Identity of the build's place (context and Dockerfile), for explaining misses. */
  readonly place: string;
  /** What the names of steps begin with; absent: nothing. */
  readonly prefix: string | undefined;
  /** Whether the Dockerfile has several stages: then steps are shown with the stage's name. */
  readonly isOneOfMany: boolean;
}

/** Runs the steps of a stage, one after another. */
export async function runStage(run: StageRun): Promise<StageResult> {
  const triggers = run.base.triggers.flatMap((trigger) => parseTrigger(trigger, run));
  const instructions = [...triggers, ...run.planned.instructions];
  const reporters = planSteps(run, instructions);
  const stage = new StageRunner(
    run,
    instructions.findLastIndex(({ kind }) => kind === "RUN"),
  );
  for (const [number, instruction] of instructions.entries()) {
    if (run.tools.signal.aborted) throw new KbuildError("interrupted", "the build was stopped");
    try {
      await stage.run(instruction, number, reporters.get(number));
    } catch (error) {
      const isOwn = !isInterruption(error) && !isOfEarlier(error, instruction);
      reporters.get(number)?.finish({ status: isOwn ? "failed" : "cancelled" });
      throw placed(error, run, instruction);
    }
  }
  return stage.result();
}

function isInterruption(error: unknown): boolean {
  return error instanceof KbuildError && error.code === "interrupted";
}

/** Whether it is another stage that failed, which the step waited for: it has its place already, further up. */
function isOfEarlier(error: unknown, { location }: Instruction): boolean {
  return error instanceof KbuildError && error.location !== undefined && error.location.line < location.line;
}

/** Gives an error of a step the step's place. What is wrong with the machine or a registry has no place in the file. */
function placed(error: unknown, run: StageRun, instruction: Instruction): unknown {
  if (!(error instanceof KbuildError) || error.code === "interrupted") return error;
  // An id and a platform are asked for by the file, or by an image that it names.
  const isAsked = error.code === "machine.ids" || error.code === "machine.emulator";
  if (error.code.startsWith("machine.") && !isAsked) return error;
  return error.with({ location: instruction.location, source: run.plan.dockerfile.source });
}

/** Makes the steps of the stage known: FROM, and what makes layers; the rest takes no time and is not shown, as with docker. */
function planSteps(run: StageRun, instructions: readonly Instruction[]): Map<number, StepReporter> {
  const { emitter, planned, base } = run;
  const shown = [...instructions.entries()].filter(([, instruction]) => makesLayer(instruction));
  const first = base.label === undefined ? 1 : 2;
  const total = shown.length + first - 1;
  const names = [run.prefix, run.isOneOfMany ? stageLabel(planned) : undefined];
  const prefix = names.map((name) => (name === undefined ? "" : `${name} `)).join("");
  const stage = stageLabel(planned);
  if (base.label !== undefined) {
    const { location } = planned.stage.from;
    run.onFrom(emitter.plan({ name: `[${prefix}1/${total}] FROM ${base.label}`, kind: "from", location, stage }));
  }
  const reporters = new Map<number, StepReporter>();
  for (const [position, [number, instruction]] of shown.entries()) {
    const name = `[${prefix}${String(position + first).padStart(String(total).length)}/${total}] ${withoutLogins(instruction.text)}`;
    reporters.set(number, emitter.plan({ name, kind: "instruction", location: instruction.location, stage }));
  }
  return reporters;
}

function makesLayer(instruction: Instruction): boolean {
  return ["COPY", "ADD", "RUN", "WORKDIR"].includes(instruction.kind);
}

/** An ONBUILD trigger of the base as an instruction of this stage, at the place of its FROM. */
function parseTrigger(trigger: string, run: StageRun): readonly Instruction[] {
  const { from } = run.planned.stage;
  try {
    const parsed = parseDockerfile(`FROM scratch\n${trigger}\n`, run.plan.dockerfile.file);
    return (parsed.stages[0]?.instructions ?? []).map((instruction) => ({ ...instruction, location: from.location }));
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    throw new KbuildError("build.parse", `the base's ONBUILD trigger "${trigger}" cannot be read: ${error.message}`, {
      location: from.location,
      source: run.plan.dockerfile.source,
    });
  }
}

/** The state of a stage while its instructions run. */
class StageRunner {
  readonly #run: StageRun;
  /** Number of the last instruction that runs a process; -1: none does. */
  readonly #lastProcess: number;
  #state: ImageState;
  #scope: Scope;
  #hasOwnCommand = false;
  /** Identity of all that was done so far, text included: what the times of steps without a layer are kept by. */
  #chain: string;

  constructor(run: StageRun, lastProcess: number) {
    this.#run = run;
    this.#lastProcess = lastProcess;
    this.#state = run.base.state;
    this.#scope = { arguments: run.base.arguments, environment: environmentOf(run.base.state.config) };
    this.#chain = identityOf(KEY_VERSION, "chain", run.base.state.snapshot.content, run.tools.clock.epoch);
  }

  result(): StageResult {
    return { state: this.#state, origin: this.#run.base.origin, arguments: this.#scope.arguments };
  }

  async run(instruction: Instruction, number: number, reporter: StepReporter | undefined): Promise<void> {
    switch (instruction.kind) {
      case "FROM":
        throw new KbuildError("internal.plan", "FROM inside of a stage");
      case "ARG":
        this.#declareArguments(instruction);
        return;
      case "RUN":
        if (reporter !== undefined) await this.#process(instruction, number, reporter);
        return;
      case "WORKDIR":
        if (reporter !== undefined) await this.#workdir(instruction.path, number, reporter);
        return;
      case "COPY":
      case "ADD":
        if (reporter !== undefined) await this.#copy(instruction, number, reporter);
        return;
      case "ONBUILD":
        this.#state = {
          ...this.#state,
          config: { ...this.#state.config, OnBuild: [...(this.#state.config.OnBuild ?? []), instruction.trigger] },
        };
        return;
      default: {
        const change = applyConfig(
          instruction,
          this.#state.config,
          { hasOwnCommand: this.#hasOwnCommand },
          (word) => this.#expand(word),
          (word) => this.#expandMany(word),
        );
        if (instruction.kind === "CMD") this.#hasOwnCommand = true;
        this.#state = { ...this.#state, config: change.config, author: change.author ?? this.#state.author };
        if (change.environment !== undefined) this.#setEnvironment(change.environment);
        this.#remember(change.text);
      }
    }
  }

  /** Of an ARG and an ENV with one name the later one counts, so a declared argument stands in front of the ENV. */
  #declareArguments(instruction: Extract<Instruction, { kind: "ARG" }>): void {
    const { plan, given } = this.#run;
    const automatic = platformArguments(plan.buildPlatform, plan.targetPlatform, plan.targetName);
    const texts: string[] = [];
    evaluateArguments(
      plan.dockerfile,
      instruction,
      given,
      (name, value) => {
        const globalValue = plan.globals.has(name) ? plan.globals.get(name) : automatic.get(name);
        const actual = given.get(name) ?? value ?? globalValue;
        const values = new Map(this.#scope.arguments);
        if (actual === undefined) {
          if (!values.has(name)) values.set(name, undefined);
        } else {
          values.set(name, actual);
        }
        this.#scope = { ...this.#scope, arguments: values };
        texts.push(actual === undefined ? name : `${name}=${actual}`);
      },
      (name) => this.#lookup(name),
    );
    this.#remember(`ARG ${texts.join(" ")}`);
  }

  #setEnvironment(pairs: readonly (readonly [string, string])[]): void {
    const environment = new Map(this.#scope.environment);
    const values = new Map(this.#scope.arguments);
    for (const [name, value] of pairs) {
      environment.set(name, value);
      // An argument that was declared stays one, as the history tells; the ENV counts.
      if (values.has(name)) values.set(name, undefined);
    }
    this.#scope = { arguments: values, environment };
  }

  async #workdir(word: Word, number: number, reporter: StepReporter): Promise<void> {
    const given = this.#expand(word);
    const path = joinAbsolute(this.#state.config.WorkingDir ?? "/", given);
    // An absolute path stays in the config as it was written, like BuildKit's; a relative one is made clean.
    const shown = given.startsWith("/") ? given : path;
    this.#state = { ...this.#state, config: { ...this.#state.config, WorkingDir: shown } };
    if (path === "/") {
      reporter.start();
      reporter.finish({ status: "done" });
      this.#remember("WORKDIR /");
      return;
    }
    const outcome = await runWorkdir(
      this.#run.tools,
      this.#state,
      {
        path,
        place: this.#place(number),
        useCache: this.#run.useCache,
        explain: this.#run.explain,
        onMiss: () => this.#expectProcess(number),
        warn: (message) => this.#run.emitter.warn("UnknownUser", message, word.location),
      },
      reporter,
    );
    this.#take(outcome, `WORKDIR ${path}`);
  }

  async #copy(instruction: CopyInstruction, number: number, reporter: StepReporter): Promise<void> {
    const { tools, emitter } = this.#run;
    reporter.start();
    const expand = (word: Word) => this.#expand(word);
    const named = withPlace(this.#run.plan.dockerfile, instruction.location, () =>
      namedSources(instruction, expand, (heredoc) => this.#expandBody(heredoc)),
    );
    const sources = await Promise.all(
      named.map((source) => (source.kind === "remote" ? this.#fetch(source, reporter) : source)),
    );
    const destinationText = expand(instruction.destination);
    const chown = flagText(instruction.chown, expand);
    const chmod = flagText(instruction.chmod, expand);
    const exclude = instruction.exclude.map(expand);
    const text = copyText(instruction, sources, destinationText, chown?.text, chmod?.text, exclude);
    const tree = await this.#run.sourceTree(instruction.from, instruction.location);
    const outcome = await runCopy(
      tools,
      this.#state,
      {
        kind: instruction.kind,
        instruction: text,
        place: this.#place(number),
        useCache: this.#run.useCache,
        explain: this.#run.explain,
        onMiss: () => this.#expectProcess(number),
        sources,
        destination: {
          path: joinAbsolute(this.#state.config.WorkingDir ?? "/", destinationText).slice(1),
          isFolder: destinationText === "" || destinationText === "." || destinationText.endsWith("/"),
        },
        tree,
        chown,
        chmod,
        link: instruction.link,
        parents: instruction.parents,
        exclude,
        unpack: instruction.kind === "ADD" ? instruction.unpack : false,
        warn: (message) => emitter.warn("CopySource", message, instruction.location),
        ignoreRule: this.#run.ignoreRule,
      },
      reporter,
    );
    this.#take(outcome, text);
  }

  async #fetch({ text, location, source }: AddressSource, reporter: StepReporter): Promise<CopySource> {
    const { plan, remotes } = this.#run;
    try {
      const files = await (await remotes()).files(source, reporter);
      return { kind: "remote", text: showGitAddress(text), files };
    } catch (error) {
      throw error instanceof KbuildError ? error.with({ location, source: plan.dockerfile.source }) : error;
    }
  }

  async #process(instruction: RunInstruction, number: number, reporter: StepReporter): Promise<void> {
    const { tools, emitter, supplies, sourceTree, useCache, explain } = this.#run;
    reporter.start();
    const place = this.#place(number);
    // What never ran at this place is no hit, as a rule.
    if (!useCache || tools.cache.lastParts(place) === undefined) tools.worker.openAhead(this.#state.snapshot);
    const prepared = await prepareRun(
      instruction,
      {
        state: this.#state,
        scope: this.#scope,
        read: (path) => readFile(tools, this.#state.snapshot, path),
        expand: (word) => this.#expand(word),
        sourceTree,
      },
      supplies,
    );
    const warn = (message: string) => emitter.warn("Sandbox", message, instruction.location);
    const step = { ...prepared, place, useCache, explain, warn };
    this.#take(await runProcess(tools, this.#state, step, reporter), prepared.instruction);
  }

  /** After a step that had to be done, the processes that follow have to run, most likely. */
  #expectProcess(number: number): void {
    if (number < this.#lastProcess) this.#run.tools.worker.openAhead(this.#state.snapshot);
  }

  /** Takes a layer step's outcome over, with its line in the history. */
  #take({ snapshot, created, isEmpty }: StepOutcome, text: string): void {
    this.#chain = identityOf(this.#chain, text, snapshot.content);
    const entry: History = {
      created,
      created_by: text,
      comment: HISTORY_COMMENT,
      ...(isEmpty ? { empty_layer: true } : {}),
    };
    this.#state = { ...this.#state, snapshot, history: [...this.#state.history, entry] };
  }

  /** Adds the line of a step without a layer; its time is that of the first build that did exactly this. */
  #remember(text: string): void {
    const { cache, clock } = this.#run.tools;
    this.#chain = identityOf(this.#chain, text);
    const known = this.#run.useCache ? cache.step(this.#chain) : undefined;
    const created = known?.created ?? clock.created();
    if (known === undefined) cache.putStep(this.#chain, { created });
    const entry: History = { created, created_by: text, comment: HISTORY_COMMENT, empty_layer: true };
    this.#state = { ...this.#state, history: [...this.#state.history, entry] };
  }

  #lookup(name: string): string | undefined {
    const value = lookupVariable(this.#scope, name);
    if (value !== undefined || !isProxyArgument(name)) return value;
    return this.#run.given.get(name);
  }

  #expand(word: Word): string {
    const { dockerfile } = this.#run.plan;
    return withPlace(dockerfile, word.location, () =>
      expandWord(word.text, (name) => this.#lookup(name), dockerfile.directives.escape),
    );
  }

  #expandBody({ content, location }: Heredoc): string {
    return withPlace(this.#run.plan.dockerfile, location, () =>
      expandHeredoc(content, (name) => this.#lookup(name), "\\"),
    );
  }

  #expandMany(word: Word): string[] {
    const { dockerfile } = this.#run.plan;
    return withPlace(dockerfile, word.location, () =>
      expandWords(word.text, (name) => this.#lookup(name), dockerfile.directives.escape),
    );
  }

  #place(number: number): string {
    return identityOf(this.#run.place, stageLabel(this.#run.planned), number);
  }
}

/** What the history says about who made an entry, where docker has `buildkit.dockerfile.v0`. */
const HISTORY_COMMENT = "kbuild.dockerfile.v0";

function copyText(
  instruction: CopyInstruction,
  sources: readonly CopySource[],
  destination: string,
  chown: string | undefined,
  chmod: string | undefined,
  exclude: readonly string[],
): string {
  const flags = [
    instruction.from === undefined ? undefined : `--from=${instruction.from.text}`,
    chown === undefined ? undefined : `--chown=${chown}`,
    chmod === undefined ? undefined : `--chmod=${chmod}`,
    instruction.link ? "--link" : undefined,
    instruction.parents ? "--parents" : undefined,
    ...exclude.map((pattern) => `--exclude=${pattern}`),
  ].filter((flag): flag is string => flag !== undefined);
  const names = sources.map((source) => (source.kind === "inline" ? `<<${source.name}` : withoutLogins(source.text)));
  return [instruction.kind, ...flags, ...names, destination].join(" ");
}
