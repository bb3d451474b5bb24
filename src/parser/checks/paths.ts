import { cleanPath, compileIgnoreLines, isIgnored } from "../ignore.ts";
import type { Rule } from "./rule.ts";
import { expandIn } from "./scope.ts";

export const workdirRelativePath: Rule = {
  name: "WorkdirRelativePath",
  description: "The first WORKDIR of a file is absolute",
  explanation:
    "A relative WORKDIR counts from the one before it, and the first of a file from the base image's, which can be another " +
    "in the base's next version; then files are elsewhere than the rest of the file expects. Begin with an absolute path. " +
    "Relative ones that follow it are fine.",
  stage: (_, { escapeCharacter }) =>
    function* (instruction, scope) {
      if (instruction.kind !== "WORKDIR" || scope.hasWorkdir) return;
      const path = expandIn(instruction.path.text, scope.values, escapeCharacter);
      if (path === undefined || path.text.startsWith("/")) return;
      // The base may set the variable that it begins with.
      if (!scope.isComplete && path.unset.size > 0) return;
      yield {
        about: [instruction],
        message: `the working directory "${path.text}" is relative to whatever the base image has`,
        hint: `write WORKDIR /${path.text.replace(/^(?:\.\/)+/, "")}`,
      };
    },
};

const ELSEWHERE = /^(?:https?|git|ssh):\/\/|^git@/;

export const copyIgnoredFile: Rule = {
  name: "CopyIgnoredFile",
  description: "COPY and ADD take nothing that the ignore file leaves out",
  explanation:
    "What .dockerignore names is not in the build context, so COPY cannot find it, and the build fails with a file that is " +
    "plainly there. Take the line out of the ignore file, or do not copy the file. When the ignore file has lines with ! " +
    "that let something in again, nothing is told: a folder may then be left out and still have files.",
  stage: (_, { escapeCharacter, ignore }) => {
    const rules = ignore.some(({ negated }) => negated) ? [] : compileIgnoreLines(ignore);
    return function* (instruction, scope) {
      if (instruction.kind !== "COPY" && instruction.kind !== "ADD") return;
      if (instruction.from !== undefined || rules.length === 0) return;
      for (const source of instruction.sources) {
        const text = expandIn(source.text, scope.values, escapeCharacter)?.text;
        if (text === undefined || ELSEWHERE.test(text)) continue;
        const path = cleanPath(text);
        const { ignored, rule } = isIgnored(rules, path);
        if (!ignored) continue;
        yield {
          about: [instruction],
          message: `${instruction.kind} takes "${path}", which .dockerignore leaves out`,
          hint: `see line ${ignore[rule ?? 0]?.line ?? "?"} of the ignore file`,
        };
      }
    };
  },
};
