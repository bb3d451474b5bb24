import type { InspectedImage } from "../api.ts";
import { command } from "./command.ts";
import { failuresOf } from "./each-name.ts";
import { inspectOptions } from "./options.ts";
import { printableJson, printableText } from "./render/text.ts";

export const inspectCommand = command({
  name: "inspect",
  usage: "[OPTIONS] IMAGE...",
  aliases: ["kbuild image inspect"],
  about: "Shows everything about images as JSON, in docker's shape.",
  options: inspectOptions,
  operands: { min: 1, max: Number.POSITIVE_INFINITY, what: "an image" },
  examples: ["kbuild inspect web-ping:v2", "kbuild inspect -f '{{json .Config.Env}}' web-ping:v2"],
  run: async ({ values, operands }, shell) => {
    const { format, root } = values;
    const { stdout } = shell;
    const show = format === undefined || format === "json" ? undefined : await showWith(format);
    const { inspect } = await shell.engine();
    const images: InspectedImage[] = [];
    const failures = await failuresOf(operands, async (name) => {
      images.push(await inspect(name, { root }));
    });
    if (show !== undefined) {
      const text = images.map((image) => `${show(image)}\n`).join("");
      stdout.write(stdout.isTTY ? printableText(text) : text);
    } else if (format === "json") {
      stdout.write(`${printableJson(JSON.stringify(images))}\n`);
    } else {
      stdout.write(`${printableJson(JSON.stringify(images, null, 4))}\n`);
    }
    if (failures !== undefined) throw failures;
  },
});

/** A malformed template is told before any image is looked at. */
async function showWith(format: string): Promise<(image: InspectedImage) => string> {
  const [{ formatter }, { templateView }] = await Promise.all([import("./template.ts"), import("./inspect-view.ts")]);
  const show = formatter(format);
  return (image) => show(templateView(image));
}
