import { KbuildError, type Location } from "../../errors.ts";
import type { Dockerfile, Instruction } from "../instructions.ts";
import {
  CHECK_ARGUMENT,
  type Configuration,
  configurationOf,
  DEFAULT_CONFIGURATION,
  EXPERIMENTAL_ARGUMENT,
  includes,
  type NameSet,
  parseBoolean,
  parseConfiguration,
  parseNames,
  union,
} from "./configuration.ts";
import { allInstructions } from "./empty-continuation.ts";
import { excerptOf } from "./excerpt.ts";
import type { FileFacts, Finding, Remark, Rule, StageFacts } from "./rule.ts";
import { findRule, RULES, similarRule, unknownCheck } from "./rules.ts";
import { walkStages } from "./scope.ts";

/**
 * The checks of one Dockerfile: which of them are run is decided by its directive or the build argument in its place, and
 * by comments above instructions. Nothing of this touches the disk, the network or an image.
 */
export class Checker {
  readonly #dockerfile: Dockerfile;
  readonly #lines: readonly string[];
  readonly #configuration: Configuration;
  readonly #start: Location;
  readonly #comments = new Map<Instruction, Configuration | undefined>();
  readonly #findings: Finding[] = [];

  /** @throws KbuildError `build.directive`, `usage.checks` when the directive or the build argument cannot be read */
  constructor(dockerfile: Dockerfile, given: ReadonlyMap<string, string>) {
    this.#dockerfile = dockerfile;
    this.#lines = dockerfile.source.split("\n");
    this.#start = { file: dockerfile.file, line: 1, column: 1 };
    this.#configuration = chooseConfiguration(dockerfile, given);
    const { check } = dockerfile.directives;
    this.#tellUnknown(this.#configuration, given.has(CHECK_ARGUMENT) ? this.#start : (check?.location ?? this.#start));
    this.#readComments();
  }

  /** Whether findings make the build fail. */
  get failsOnFindings(): boolean {
    return this.#configuration.error;
  }

  /** What has been found so far, in the order of the file. */
  get findings(): readonly Finding[] {
    return [...this.#findings].sort((one, other) => one.location.line - other.location.line);
  }

  /** Those that count when findings make a build fail. */
  get violations(): readonly Finding[] {
    return this.findings.filter(({ rule }) => findRule(rule)?.own !== true);
  }

  /** Runs the checks that need no plan. */
  checkFile(facts: FileFacts): void {
    for (const rule of RULES) {
      for (const remark of rule.file?.(this.#dockerfile, facts) ?? []) this.add(rule, remark);
    }
  }

  /** Runs the checks that look at the stages that are built. */
  checkStages(facts: StageFacts): void {
    walkStages(this.#dockerfile, facts, (stage) => {
      const visitors = RULES.flatMap((rule) => {
        const visit = rule.stage?.(stage, facts);
        return visit === undefined ? [] : [{ rule, visit }];
      });
      return (instruction, scope) => {
        for (const { rule, visit } of visitors) {
          for (const remark of visit(instruction, scope)) this.add(rule, remark);
        }
      };
    });
  }

  /** Adds a finding, unless it is skipped. */
  add(rule: Rule, remark: Remark): void {
    if (!this.#isWanted(rule, remark.about)) return;
    const { description, explanation, name } = rule;
    const [message, hint] = [bounded(remark.message), remark.hint === undefined ? undefined : bounded(remark.hint)];
    const location = remark.location ?? remark.about[0]?.location ?? this.#start;
    const excerpt = excerptOf(this.#lines, location);
    this.#findings.push({ rule: name, message, location, hint, description, explanation, excerpt });
  }

  /** The error that the build ends with, if it is to fail and there is a reason. */
  failure(): KbuildError | undefined {
    const { violations } = this;
    const [first] = violations;
    if (!this.failsOnFindings || first === undefined) return undefined;
    const names = [...new Set(violations.map(({ rule }) => rule))].sort();
    const count = violations.length === 1 ? "a check found something" : `checks found ${violations.length} things`;
    return new KbuildError("build.checks", `${count}, and error=true makes that fail the build: ${names.join(", ")}`, {
      location: first.location,
      source: this.#dockerfile.source,
      hint: "kbuild build --check shows them all; # check=skip=NAME above an instruction skips one there",
    });
  }

  #isWanted(rule: Rule, about: readonly Instruction[]): boolean {
    const comments = about.map((one) => this.#comments.get(one));
    const named = (key: "skip" | "experimental") =>
      [this.#configuration, ...comments].some((one) => one !== undefined && includes(one[key], rule.name));
    return rule.experimental === true ? named("experimental") : !named("skip");
  }

  #readComments(): void {
    for (const instruction of allInstructions(this.#dockerfile)) {
      if (instruction.comments.length === 0) continue;
      try {
        const configuration = configurationOf(instruction.comments);
        this.#comments.set(instruction, configuration);
        if (configuration === undefined) continue;
        this.#tellUnknown(configuration, instruction.location);
        if (configuration.error) {
          const message = "error=true above an instruction has no effect";
          this.add(unknownCheck, { about: [instruction], message, hint: "it counts at the top of the file" });
        }
      } catch (error) {
        if (!(error instanceof KbuildError)) throw error;
        const { message, hint } = error;
        this.add(unknownCheck, {
          about: [instruction],
          message: `the comment above this is not followed: ${message}`,
          hint,
        });
      }
    }
  }

  #tellUnknown({ skip, experimental }: Configuration, location: Location): void {
    for (const name of [skip, experimental].flatMap((names) => (names === "all" ? [] : [...names]))) {
      if (name === "" || findRule(name) !== undefined) continue;
      const near = similarRule(name);
      const message = `there is no check ${name}${near === undefined ? "" : ` (did you mean ${near}?)`}`;
      this.add(unknownCheck, { about: [], location, message });
    }
  }
}

/** Whoever wrote the file may have written a megabyte. */
const MOST_CHARACTERS = 300;

function bounded(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS).toWellFormed()}…`;
}

/** The directive's, or that of the build argument in its place. */
function chooseConfiguration(
  { directives: { check }, source }: Dockerfile,
  given: ReadonlyMap<string, string>,
): Configuration {
  const argument = given.get(CHECK_ARGUMENT);
  const configuration =
    argument !== undefined
      ? asUsage(CHECK_ARGUMENT, () => parseConfiguration(argument, {}))
      : check === undefined
        ? DEFAULT_CONFIGURATION
        : parseConfiguration(check.text, { location: check.location, source });
  const more = experimentalOf(given.get(EXPERIMENTAL_ARGUMENT));
  return { ...configuration, experimental: union(configuration.experimental, more) };
}

function experimentalOf(text: string | undefined): NameSet {
  if (text === undefined) return new Set();
  const asked = parseBoolean(text);
  if (asked !== undefined) return asked ? "all" : new Set();
  return parseNames(text);
}

/** What is wrong with a build argument is the caller's fault. */
function asUsage<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    throw new KbuildError("usage.checks", `--build-arg ${name}: ${error.message}`, { hint: error.hint });
  }
}
