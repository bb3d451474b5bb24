import type { Dockerfile, Instruction } from "../instructions.ts";
import type { Rule } from "./rule.ts";

/** All instructions of a file, in order; what ONBUILD holds is not gone into. */
export function* allInstructions({ globalArguments, stages }: Dockerfile): IterableIterator<Instruction> {
  yield* globalArguments;
  for (const { from, instructions } of stages) {
    yield from;
    yield* instructions;
  }
}

export const noEmptyContinuation: Rule = {
  name: "NoEmptyContinuation",
  description: "A continued instruction has no blank lines in it",
  explanation:
    "A line that ends with the escape character goes on in the next one. When that is blank, it is skipped today, but that " +
    "is an accident which later versions of the format may take for the end of the instruction. Take the blank line out, or " +
    "make a comment of it: a line with # may stand there.",
  file: function* (dockerfile) {
    for (const instruction of allInstructions(dockerfile)) {
      const { emptyContinuation: location } = instruction;
      if (location === undefined) continue;
      yield {
        about: [instruction],
        location,
        message: "a blank line stands in the middle of a continued instruction",
        hint: "take it out, or put a # on it",
      };
    }
  },
};
