import type { Dockerfile, Stage } from "../instructions.ts";
import type { Remark, Rule } from "./rule.ts";

/** A remark on each stage that something is to be said of. */
function* eachStage(
  { stages }: Dockerfile,
  say: (stage: Stage) => Omit<Remark, "about"> | undefined,
): IterableIterator<Remark> {
  for (const stage of stages) {
    const remark = say(stage);
    if (remark !== undefined) yield { about: [stage.from], ...remark };
  }
}

export const stageNameCasing: Rule = {
  name: "StageNameCasing",
  description: "Names of stages are in lower case",
  explanation:
    "The name of a stage is looked up without regard to case, so Build and build are one stage. Names in lower case, as " +
    "all others in a Dockerfile are, keep readers from taking them for two, and stand out from keywords.",
  file: (dockerfile) =>
    eachStage(dockerfile, ({ from: { written } }) => {
      if (written === undefined || written.name === written.name.toLowerCase()) return undefined;
      return {
        message: `the stage name "${written.name}" has capital letters`,
        hint: `write AS ${written.name.toLowerCase()}, and the same where the stage is used`,
      };
    }),
};

export const duplicateStageName: Rule = {
  name: "DuplicateStageName",
  description: "Each stage has a name of its own",
  explanation:
    "When two stages have one name, whatever names it means the nearest stage before it, and --target means the last. An " +
    "instruction that is moved, or a stage that is put in between, then silently gets other files. Give each stage a name " +
    "of its own.",
  file: (dockerfile) => {
    const seen = new Set<string>();
    return eachStage(dockerfile, ({ from: { name } }) => {
      if (name === undefined) return undefined;
      if (seen.has(name.text)) {
        return { message: `a stage before this one has the name "${name.text}" already`, hint: "rename one of them" };
      }
      seen.add(name.text);
      return undefined;
    });
  },
};

const RESERVED = ["context", "scratch"];

export const reservedStageName: Rule = {
  name: "ReservedStageName",
  description: "No stage has a name that has a meaning of its own",
  explanation:
    "FROM scratch begins with nothing, and context is what the build context is called. A stage with one of these names " +
    "hides it from readers, and cannot be counted on to be found under it. Choose any other name.",
  file: (dockerfile) =>
    eachStage(dockerfile, ({ from: { name } }) => {
      if (name === undefined || !RESERVED.includes(name.text)) return undefined;
      return {
        message: `"${name.text}" cannot well be the name of a stage: it is reserved`,
        hint: "rename the stage",
      };
    }),
};
