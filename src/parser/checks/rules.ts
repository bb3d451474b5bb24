import { suggest } from "../suggest.ts";
import { consistentInstructionCasing, fromAsCasing } from "./casing.ts";
import { jsonArgsRecommended, maintainerDeprecated, multipleInstructionsDisallowed } from "./commands.ts";
import { invalidDefinitionDescription } from "./descriptions.ts";
import { noEmptyContinuation } from "./empty-continuation.ts";
import { exposeInvalidFormat, exposeProtoCasing } from "./expose.ts";
import {
  fromPlatformFlagConstDisallowed,
  invalidBaseImagePlatform,
  invalidDefaultArgInFrom,
  redundantTargetPlatform,
  undefinedArgInFrom,
} from "./from.ts";
import { legacyKeyValueFormat, secretsUsedInArgOrEnv } from "./pairs.ts";
import { blankCommand, invalidJsonForm, unusedFlag } from "./parse-warnings.ts";
import { copyIgnoredFile, workdirRelativePath } from "./paths.ts";
import type { Rule } from "./rule.ts";
import { duplicateStageName, reservedStageName, stageNameCasing } from "./stage-names.ts";
import { undefinedVar } from "./variables.ts";

/** A comment or directive that is about checks and says nothing that could be followed; told while checks are chosen. */
export const unknownCheck: Rule = {
  name: "UnknownCheck",
  description: "What is skipped or asked for is a check that there is",
  explanation:
    "# check=skip=NAME, above an instruction or at the top of the file, names checks just as they are written in messages. " +
    "A name that no check has, or a comment that cannot be read, skips nothing.",
  own: true,
};

/** All checks, in the order in which they are listed. */
export const RULES: readonly Rule[] = [
  stageNameCasing,
  fromAsCasing,
  noEmptyContinuation,
  consistentInstructionCasing,
  duplicateStageName,
  reservedStageName,
  jsonArgsRecommended,
  maintainerDeprecated,
  undefinedArgInFrom,
  workdirRelativePath,
  undefinedVar,
  multipleInstructionsDisallowed,
  legacyKeyValueFormat,
  invalidBaseImagePlatform,
  redundantTargetPlatform,
  secretsUsedInArgOrEnv,
  invalidDefaultArgInFrom,
  fromPlatformFlagConstDisallowed,
  copyIgnoredFile,
  invalidDefinitionDescription,
  exposeProtoCasing,
  exposeInvalidFormat,
  blankCommand,
  invalidJsonForm,
  unusedFlag,
  unknownCheck,
];

export function findRule(name: string): Rule | undefined {
  return RULES.find((rule) => rule.name === name);
}

/** The check that was probably meant. */
export function similarRule(name: string): string | undefined {
  return suggest(
    name,
    RULES.map((rule) => rule.name),
  );
}
