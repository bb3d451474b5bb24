import type { Command, Instruction } from "../instructions.ts";
import type { Rule } from "./rule.ts";

export const jsonArgsRecommended: Rule = {
  name: "JSONArgsRecommended",
  description: "CMD and ENTRYPOINT are JSON arrays, so that signals reach the program",
  explanation:
    "In shell form, CMD node app.js, a shell is the container's first process and runs the program as its child. The shell " +
    'does not pass signals on: docker stop waits ten seconds and then kills. As a JSON array, CMD ["node", "app.js"], the ' +
    'program is the first process itself. If a shell is needed, name it: SHELL, or ["sh", "-c", "exec …"].',
  stage: () =>
    function* (instruction, { hasShell }) {
      if (instruction.kind !== "CMD" && instruction.kind !== "ENTRYPOINT") return;
      if (instruction.command.form !== "shell" || hasShell) return;
      yield {
        about: [instruction],
        message: `${instruction.kind} is in shell form: signals go to a shell, not to the program`,
        hint: arrayHint(instruction.kind, instruction.command),
      };
    },
};

/** The command as an array, where that is no more than its words. */
function arrayHint(kind: string, command: Command): string {
  const text = command.form === "shell" ? command.text : "";
  if (!/^[\w./:=@, -]{1,60}$/.test(text)) return `write ${kind} ["program", "argument"]`;
  return `write ${kind} ${JSON.stringify(text.split(/ +/)).replaceAll(",", ", ")}`;
}

const ONCE = ["CMD", "ENTRYPOINT", "HEALTHCHECK"];

export const multipleInstructionsDisallowed: Rule = {
  name: "MultipleInstructionsDisallowed",
  description: "A stage has at most one CMD, one ENTRYPOINT and one HEALTHCHECK",
  explanation:
    "Of several CMDs, ENTRYPOINTs or HEALTHCHECKs in a stage only the last one counts; those before have no effect at all. " +
    "Take them out. A stage that builds on another may well have its own: it replaces the other's.",
  stage: () => {
    const last = new Map<string, Instruction>();
    return function* (instruction) {
      const { kind } = instruction;
      if (!ONCE.includes(kind)) return;
      const before = last.get(kind);
      last.set(kind, instruction);
      if (before === undefined) return;
      // The place is that of the one without effect.
      yield {
        about: [before, instruction],
        message: `this ${before.keyword} has no effect: the stage has a later one, and only the last counts`,
        hint: "take it out",
      };
    };
  },
};

export const maintainerDeprecated: Rule = {
  name: "MaintainerDeprecated",
  description: "A label names the author, not MAINTAINER",
  explanation:
    "MAINTAINER is deprecated. A label says the same, is shown by docker inspect, and can hold more: " +
    'LABEL org.opencontainers.image.authors="name <address>".',
  file: function* ({ stages }) {
    for (const { instructions } of stages) {
      for (const instruction of instructions) {
        if (instruction.kind !== "MAINTAINER") continue;
        yield {
          about: [instruction],
          message: "MAINTAINER is deprecated",
          hint: `write LABEL org.opencontainers.image.authors="…"`,
        };
      }
    }
  },
};
