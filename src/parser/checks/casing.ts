import type { Common, Dockerfile } from "../instructions.ts";
import type { Rule } from "./rule.ts";

const isLower = (text: string): boolean => text === text.toLowerCase();
const isUpper = (text: string): boolean => text === text.toUpperCase();

/** How often each keyword is written in which way. ARGs before the first FROM do not count, as BuildKit has it. */
function countKeywords({ stages }: Dockerfile): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const count = ({ keyword }: Common) => counts.set(keyword, (counts.get(keyword) ?? 0) + 1);
  for (const { from, instructions } of stages) {
    count(from);
    for (const instruction of instructions) count(instruction);
  }
  return counts;
}

export const fromAsCasing: Rule = {
  name: "FromAsCasing",
  description: "AS is written in the case that its FROM is in",
  explanation:
    "FROM node as build mixes two ways of writing keywords in one line, so that the second is easily taken for a part of " +
    "the name. Write FROM and AS both in upper case, or both in lower case.",
  file: function* ({ stages }) {
    for (const { from } of stages) {
      const as = from.written?.as;
      // A FROM that is in neither case is told by ConsistentInstructionCasing.
      if (as === undefined || !(isLower(from.keyword) || isUpper(from.keyword))) continue;
      const wanted = isLower(from.keyword) ? as.toLowerCase() : as.toUpperCase();
      if (as === wanted) continue;
      yield {
        about: [from],
        message: `"${as}" and "${from.keyword}" are not written in the same case`,
        hint: `write ${wanted}`,
      };
    }
  },
};

export const consistentInstructionCasing: Rule = {
  name: "ConsistentInstructionCasing",
  description: "All instructions of a file are written in one case",
  explanation:
    "Keywords may be in upper or in lower case, but a file that mixes them, or a keyword in neither (From), is harder to " +
    "read. What most instructions of the file are in counts; upper case is usual.",
  file: function* (dockerfile) {
    const counts = countKeywords(dockerfile);
    const keywords = [...counts.keys()];
    const sum = (some: readonly string[]) => some.reduce((total, keyword) => total + (counts.get(keyword) ?? 0), 0);
    const lower = sum(keywords.filter(isLower));
    const upper = sum(keywords.filter((keyword) => !isLower(keyword) && isUpper(keyword)));
    const [isRight, name] = lower > upper ? [isLower, "lower"] : [isUpper, "upper"];
    if (keywords.every(isRight)) return;
    for (const { from, instructions } of dockerfile.stages) {
      for (const instruction of [from, ...instructions]) {
        const { keyword } = instruction;
        if (isRight(keyword)) continue;
        yield {
          about: [instruction],
          message: `"${keyword}" is not in ${name} case, which most instructions here are in`,
          hint: `write ${name === "lower" ? keyword.toLowerCase() : keyword.toUpperCase()}`,
        };
      }
    }
  },
};
