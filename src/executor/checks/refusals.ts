import { KbuildError } from "../../errors.ts";
import { parseReference } from "../../oci/reference.ts";
import type { StageFacts } from "../../parser/checks/rule.ts";
import { type Scope, walkStages } from "../../parser/checks/scope.ts";
import { parseMode } from "../../parser/copy-mode.ts";
import type { CopyInstruction, Heredoc, Instruction } from "../../parser/instructions.ts";
import { expandHeredoc, expandWord, expandWords, type Lookup } from "../../parser/words.ts";
import { isProxyArgument } from "../arguments.ts";
import { isContextName } from "../context-names.ts";
import { evaluateArguments, findStageReference, type Plan, withPlace } from "../plan.ts";
import { mountRequests } from "../run/mount-requests.ts";
import { applyConfig, type Expand } from "../steps/config.ts";
import { flagText, namedSources } from "../steps/named-sources.ts";

/**
 * Goes through the stages that are looked into for what a build would refuse in them, whatever the files of its context
 * and of its images are: names of images, words that cannot be expanded, values that mean nothing.
 * @throws KbuildError `build.*` the first of them, with its place
 */
export function refuseStages(plan: Plan, facts: StageFacts, contextNames: ReadonlySet<string>): void {
  const { dockerfile } = plan;
  for (const { stage, origin } of plan.stages) {
    if (origin.kind !== "image" || !facts.stages.has(stage.index)) continue;
    withPlace(dockerfile, stage.from.image.location, () => parseReference(origin.name, "build.reference"));
  }
  walkStages(dockerfile, facts, (stage) => (instruction, scope) => {
    const guess = new Guess(scope, facts);
    try {
      withPlace(dockerfile, instruction.location, () => refuse(plan, facts, instruction, guess.lookup));
    } catch (error) {
      // A base that nobody has looked at may well have the variable.
      if (!guess.isGuess) throw error;
    }
    if (instruction.kind !== "COPY" || instruction.from === undefined) return;
    const { text, location } = instruction.from;
    const index = findStageReference(dockerfile, plan.names, instruction.from, stage.index, contextNames);
    if (index !== undefined || isContextName(contextNames, text)) return;
    withPlace(dockerfile, location, () => parseReference(text, "build.reference"));
  });
}

/** Stands for a working directory, which only the base may know: what is relative to it is somewhere below the root. */
const SOME_FOLDER = "/folder";

/** Values of variables, and whether one was asked for that only the base's configuration can tell. */
class Guess {
  isGuess = false;
  readonly lookup: Lookup;

  constructor({ values, isComplete }: Scope, { given }: StageFacts) {
    this.lookup = (name) => {
      const value = values.get(name) ?? (isProxyArgument(name) ? given.get(name) : undefined);
      if (value === undefined && !isComplete) this.isGuess = true;
      return value;
    };
  }
}

/** Does what the build does with an instruction's words, and keeps nothing of it. */
function refuse({ dockerfile }: Plan, { given }: StageFacts, instruction: Instruction, lookup: Lookup): void {
  const { escape: escapeCharacter } = dockerfile.directives;
  const expand: Expand = (word) =>
    withPlace(dockerfile, word.location, () => expandWord(word.text, lookup, escapeCharacter));
  switch (instruction.kind) {
    case "FROM":
    case "ONBUILD":
      return;
    case "RUN":
      mountRequests(instruction.mounts, SOME_FOLDER, expand);
      return;
    case "ARG":
      evaluateArguments(dockerfile, instruction, given, () => undefined, lookup);
      return;
    case "WORKDIR":
      expand(instruction.path);
      return;
    case "COPY":
    case "ADD":
      refuseCopy(instruction, expand, ({ content, location }) =>
        withPlace(dockerfile, location, () => expandHeredoc(content, lookup, "\\")),
      );
      return;
    default:
      applyConfig(instruction, {}, { hasOwnCommand: false }, expand, (word) =>
        withPlace(dockerfile, word.location, () => expandWords(word.text, lookup, escapeCharacter)),
      );
  }
}

function refuseCopy(instruction: CopyInstruction, expand: Expand, expandBody: (heredoc: Heredoc) => string): void {
  const { chmod, chown, destination, exclude } = instruction;
  namedSources(instruction, expand, expandBody);
  for (const word of [destination, ...exclude]) expand(word);
  flagText(chown, expand);
  const mode = flagText(chmod, expand);
  if (mode === undefined) return;
  try {
    parseMode(mode.text);
  } catch (error) {
    throw error instanceof KbuildError ? error.with({ location: mode.location }) : error;
  }
}
