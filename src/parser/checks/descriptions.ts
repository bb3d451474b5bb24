import type { ArgInstruction, Dockerfile, FromInstruction } from "../instructions.ts";
import type { Rule } from "./rule.ts";

/**
 * What the comments above an instruction say of a name that it defines, `# NAME DESCRIPTION`; undefined when they say
 * nothing of it. Shown by outline and targets.
 */
export function descriptionOf(name: string, comments: readonly string[]): string | undefined {
  const comment = comments.find((one) => one.startsWith(`${name} `));
  return comment?.slice(name.length + 1);
}

/** ARGs, and FROMs that have a name, each with the names that it defines. */
function* definitions({
  globalArguments,
  stages,
}: Dockerfile): IterableIterator<{ readonly by: ArgInstruction | FromInstruction; readonly names: readonly string[] }> {
  for (const by of globalArguments) yield { by, names: by.items.map(({ name }) => name) };
  for (const { from, instructions } of stages) {
    if (from.name !== undefined) yield { by: from, names: [from.name.text] };
    for (const by of instructions) {
      if (by.kind === "ARG") yield { by, names: by.items.map(({ name }) => name) };
    }
  }
}

export const invalidDefinitionDescription: Rule = {
  name: "InvalidDefinitionDescription",
  description: "A comment right above an ARG or a stage begins with its name",
  explanation:
    "kbuild build --call=outline and --call=targets show what a comment above an ARG or FROM says, if it begins with the " +
    "name that is defined: # VERSION of the base. A comment that does not begin so is not shown. Begin it with the name; or, " +
    "if it is no description, put a blank line or a line with # alone between it and the instruction.",
  experimental: true,
  file: function* (dockerfile) {
    for (const { by, names } of definitions(dockerfile)) {
      const last = by.comments.filter((comment) => !/^check\s*=/i.test(comment)).at(-1);
      if (last === undefined || names.includes(last.split(" ")[0] ?? "")) continue;
      const [name] = names.length === 1 ? names : ["NAME"];
      yield {
        about: [by],
        message: `the comment above ${by.kind} does not begin with its name: # ${name} DESCRIPTION`,
        hint: "if it is no description, put a blank line or a line with # alone below it",
      };
    }
  },
};
