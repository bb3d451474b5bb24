import { KbuildError } from "../api.ts";
import { command } from "./command.ts";
import { forEachName } from "./each-name.ts";
import { rmiOptions } from "./options.ts";
import { printable } from "./render/text.ts";

export const rmiCommand = command({
  name: "rmi",
  usage: "[OPTIONS] IMAGE...",
  aliases: ["kbuild image rm", "kbuild image remove"],
  about: "Removes images. A name is taken away, and with its last name the image.",
  options: rmiOptions,
  operands: { min: 1, max: Number.POSITIVE_INFINITY, what: "an image" },
  examples: ["kbuild rmi web-ping:v1", "kbuild rmi -f 3f4a9c2b7d10"],
  run: async ({ values, operands, notes }, shell) => {
    for (const note of notes) shell.stderr.write(`note: ${note}\n`);
    const { remove } = await shell.engine();
    await forEachName(operands, async (name) => {
      try {
        const removals = await remove(name, { root: values.root, force: values.force });
        const lines = removals.map((one) =>
          one.kind === "untagged" ? `Untagged: ${one.name}` : `Deleted: ${one.imageId}`,
        );
        shell.stdout.write(lines.map((line) => `${printable(line)}\n`).join(""));
      } catch (error) {
        // docker: with --force, what is not there is told, and is no failure.
        if (!values.force || !(error instanceof KbuildError) || error.code !== "build.noSuchImage") throw error;
        shell.stderr.write(`note: ${printable(error.message)}\n`);
      }
    });
  },
});
