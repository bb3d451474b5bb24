import type { Location } from "../../errors.ts";
import type { Instruction, RunMount, Stage, Word } from "../instructions.ts";
import { suggest } from "../suggest.ts";
import { expandHeredoc } from "../words.ts";
import type { Remark, Rule, StageFacts } from "./rule.ts";
import { expandIn, type Scope } from "./scope.ts";

/** What the build itself gives a meaning to, and hands to no stage. */
const NOT_OF_STAGES = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

export const undefinedVar: Rule = {
  name: "UndefinedVar",
  description: "Variables are defined before they are used",
  explanation:
    "A variable that neither ARG nor ENV nor the base image sets is expanded to nothing, without an error: COPY $DRI . " +
    "becomes COPY with the whole context. Most often a name is misspelt, or an ARG from before the first FROM was not " +
    "declared again in the stage (ARG NAME, without a value), which it has to be. The command of RUN is not looked into: " +
    "its variables are the shell's. When nothing is known of the base image, only what is likely wrong is told.",
  stage: (stage, facts) => {
    const defined = namesOf(stage);
    return (instruction, scope) => undefinedIn(instruction, scope, facts, defined);
  },
};

function* undefinedIn(
  instruction: Instruction,
  scope: Scope,
  facts: StageFacts,
  defined: ReadonlySet<string>,
): IterableIterator<Remark> {
  const told = new Set<string>(NOT_OF_STAGES);
  for (const name of unsetIn(instruction, scope, facts)) {
    if (told.has(name) || scope.declared.has(name)) continue;
    told.add(name);
    const near = suggest(name, [...scope.values.keys()]);
    const isOutside = facts.globals.has(name) || facts.automatic.has(name);
    // The base may well set it.
    if (!scope.isComplete && near === undefined && !isOutside && !defined.has(name)) continue;
    yield {
      about: [instruction],
      message: `the variable $${name} is not defined here${near === undefined ? "" : ` (did you mean $${near}?)`}`,
      hint: isOutside
        ? `ARG ${name} in this stage brings in the value from outside of it`
        : defined.has(name)
          ? "it is only defined further down"
          : undefined,
    };
  }
}

/** The names that a stage sets anywhere. */
function namesOf({ instructions }: Stage): Set<string> {
  const names = new Set<string>();
  for (const instruction of instructions) {
    if (instruction.kind === "ARG") for (const { name } of instruction.items) names.add(name);
    if (instruction.kind === "ENV") for (const { name } of instruction.pairs) names.add(name.text);
  }
  return names;
}

/** The variables without a value that the build would look up for an instruction. */
function* unsetIn(instruction: Instruction, scope: Scope, facts: StageFacts): IterableIterator<string> {
  const unset = (text: string) => expandIn(text, scope.values, facts.escapeCharacter)?.unset ?? [];
  if (instruction.kind === "ARG") {
    const before = new Set<string>();
    for (const { name, value } of instruction.items) {
      if (value !== undefined && !facts.given.has(name)) {
        for (const one of unset(value.text)) if (!before.has(one)) yield one;
      }
      before.add(name);
    }
    return;
  }
  for (const word of expandedWords(instruction)) yield* unset(word.text);
  if (instruction.kind !== "COPY" && instruction.kind !== "ADD") return;
  for (const { content, expand } of instruction.heredocs) {
    if (expand) yield* expandIn(content, scope.values, "\\", expandHeredoc)?.unset ?? [];
  }
}

/** The words of an instruction that variables are expanded in. Dockerfile reference, "Environment replacement". */
function expandedWords(instruction: Instruction): readonly Word[] {
  switch (instruction.kind) {
    case "ENV":
    case "LABEL":
      return instruction.pairs.flatMap(({ name, value }) => [name, value]);
    case "COPY":
    case "ADD": {
      const { sources, destination, chown, chmod, exclude, checksum } = instruction;
      return [...sources, destination, chown, chmod, checksum, ...exclude].filter((word) => word !== undefined);
    }
    case "WORKDIR":
      return [instruction.path];
    case "USER":
      return [instruction.user];
    case "VOLUME":
      return instruction.paths;
    case "STOPSIGNAL":
      return [instruction.signal];
    case "RUN":
      return instruction.mounts.flatMap(mountWords);
    default:
      return [];
  }
}

/** All words of a mount but `from`, in which no variables are expanded. */
function mountWords(mount: RunMount): Word[] {
  return Object.entries(mount).flatMap(([field, value]: [string, RunMount["type"] | Word | Location | undefined]) =>
    field !== "from" && typeof value === "object" && "text" in value ? [value] : [],
  );
}
