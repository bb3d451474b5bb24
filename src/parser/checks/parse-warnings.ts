import type { ParseWarning } from "../instructions.ts";
import { allInstructions } from "./empty-continuation.ts";
import type { Rule } from "./rule.ts";

/** What the parser noticed, as a check: its name and its place in a rule's shape. */
function ofParser(name: ParseWarning["code"], description: string, explanation: string): Rule {
  return {
    name,
    description,
    explanation,
    own: true,
    file: function* (dockerfile) {
      const found = dockerfile.warnings.filter(({ code }) => code === name);
      if (found.length === 0) return;
      const instructions = [...allInstructions(dockerfile)];
      let number = 0;
      // Both are in the order of the file.
      for (const { message, location } of found) {
        while ((instructions[number + 1]?.location.line ?? Number.POSITIVE_INFINITY) <= location.line) number++;
        yield { about: instructions.slice(number, number + 1), message, location };
      }
    },
  };
}

export const invalidJsonForm: Rule = ofParser(
  "InvalidJSONForm",
  "What looks like a JSON array is one",
  "CMD ['node'] is no JSON, for JSON has double quotes; so it is run by a shell as it stands, which looks for a program " +
    "called [node]. The same goes for a comma that is missing, and for VOLUME, COPY and ADD, whose words are then split at " +
    'spaces. Write CMD ["node"].',
);

export const unusedFlag: Rule = ofParser(
  "UnusedFlag",
  "Flags have an effect",
  "HEALTHCHECK NONE takes a check away, so there is nothing that --interval or --retries could be about; and a bind mount of " +
    "RUN is found by its source, whatever id it is given. Leave out what says nothing.",
);

export const blankCommand: Rule = ofParser(
  "BlankCommand",
  "RUN, CMD and ENTRYPOINT have a command",
  "Without one they start a shell that has nothing to do and ends at once, which is hardly what was meant. CMD [] and " +
    "ENTRYPOINT [] take away what the base has.",
);
