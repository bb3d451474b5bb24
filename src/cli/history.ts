import type { HistoryEntry } from "../api.ts";
import { command } from "./command.ts";
import type { Values } from "./option-table.ts";
import { historyOptions } from "./options.ts";
import { ago, cut, humanSize } from "./render/text.ts";
import { printListing, type Row } from "./table.ts";
import { exactTime, shortId } from "./times.ts";

export const historyCommand = command({
  name: "history",
  usage: "[OPTIONS] IMAGE",
  aliases: ["kbuild image history"],
  about: "Shows how an image came about: its instructions, newest first, and what each of them added.",
  options: historyOptions,
  operands: { min: 1, max: 1, what: "an image" },
  examples: ["kbuild history web-ping:v2", "kbuild history --no-trunc --format '{{.CreatedBy}}' web-ping:v2"],
  run: async ({ values, operands }, shell) => {
    const { historyOf } = await shell.engine();
    const entries = await historyOf(operands[0] ?? "", { root: values.root });
    const rows = entries.map((entry) => rowOf(entry, values, shell.now()));
    const isTable = values.format === undefined || values.format.trim() === "table";
    if (values.quiet && isTable) {
      shell.stdout.write(rows.map(({ ID }) => `${ID}\n`).join(""));
      return;
    }
    const headline = values.human === false ? { ...HEADLINE, CreatedSince: "CREATED AT" } : HEADLINE;
    await printListing({ rows, headline, columns: COLUMNS }, values.format, shell.stdout);
  },
});

const COLUMNS = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"];
const HEADLINE: Row = {
  Comment: "COMMENT",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  CreatedSince: "CREATED",
  ID: "IMAGE",
  Size: "SIZE",
};
/** docker shows so much of an instruction. */
const CREATED_BY_SHOWN = 45;

function rowOf(entry: HistoryEntry, { human, noTrunc }: Values<typeof historyOptions>, now: number): Row {
  const createdBy = entry.createdBy.replaceAll("\t", " ");
  const { imageId } = entry;
  return {
    Comment: entry.comment,
    CreatedAt: exactTime(entry.created),
    CreatedBy: noTrunc ? createdBy : cut(createdBy, CREATED_BY_SHOWN),
    CreatedSince: human === false ? exactTime(entry.created) : ago(entry.created, now),
    ID: imageId === undefined ? "<missing>" : noTrunc ? imageId : shortId(imageId),
    Size: human === false ? String(entry.size) : humanSize(entry.size),
  };
}
