import { command } from "./command.ts";
import { tagOptions } from "./options.ts";

export const tagCommand = command({
  name: "tag",
  usage: "SOURCE[:TAG] TARGET[:TAG]",
  aliases: ["kbuild image tag"],
  about: "Gives an image a further name. Whoever had that name loses it.",
  options: tagOptions,
  operands: { min: 2, max: 2, what: "an image and the name to give it" },
  examples: ["kbuild tag web-ping:v2 ghcr.io/me/web-ping:v2"],
  run: async ({ values, operands: [source = "", target = ""] }, shell) => {
    const { tag } = await shell.engine();
    await tag(source, target, { root: values.root });
  },
});
