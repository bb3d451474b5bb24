import { KbuildError, type PrunedItem, type PruneReport, suggest } from "../api.ts";
import { command } from "./command.ts";
import type { Values } from "./option-table.ts";
import { pruneOptions } from "./options.ts";
import { humanSize, printable } from "./render/text.ts";
import type { Shell } from "./shell.ts";
import { badValue, duration } from "./values.ts";

export const pruneCommand = command({
  name: "prune",
  usage: "[OPTIONS]",
  about:
    "Frees the space of what is only kept to make later builds faster, the least recently used first: cache records and " +
    "layers that no image has, unpacked layers, cache mounts, failed steps that were kept, and what killed processes left behind. Images stay, and so " +
    "does what a running build uses.",
  options: pruneOptions,
  operands: { min: 0, max: 0, what: "nothing" },
  examples: ["kbuild prune --filter until=24h", "kbuild prune -a -f --keep-storage 10GB"],
  run: async ({ values, notes }, shell) => {
    for (const note of notes) shell.stderr.write(`note: ${note}\n`);
    const filter = filterOf(values);
    if (!values.force && shell.stdout.isTTY && !(await isConfirmed(values, shell))) return;
    const { prune } = await shell.engine();
    const { root, all } = values;
    const keep = values.maxUsedSpace ?? values.keepStorage;
    const report = await prune({ root, all, keep, ...filter, signal: shell.interruption.signal });
    if (values.verbose) shell.stdout.write(listing(report));
    shell.stdout.write(`Total reclaimed space: ${humanSize(report.reclaimed)}\n`);
    const { stuck } = report;
    if (stuck !== undefined) {
      const count = stuck.paths.length === 1 ? "1 folder" : `${stuck.paths.length} folders`;
      throw new KbuildError(
        "machine.notWritable",
        `${count} in the store's tmp could not be removed: ${stuck.reason}`,
        {
          hint: "they hold files of other users, which take a user namespace to remove",
        },
      );
    }
  },
});

type Typed = Values<typeof pruneOptions>;

const KINDS: Readonly<Record<string, readonly PrunedItem["kind"][]>> = {
  regular: ["record", "layer", "failedStep", "blob"],
  "source.local": ["context"],
  "source.git.checkout": ["repository"],
  "exec.cachemount": ["cacheMount"],
};

function filterOf({ filter = [] }: Typed): { unusedFor?: number; kinds?: readonly PrunedItem["kind"][] } {
  const chosen: { unusedFor?: number; kinds?: readonly PrunedItem["kind"][] } = {};
  for (const [key, value] of filter) {
    if (key === "until" || key === "unused-for") chosen.unusedFor = duration(value, `--filter ${key}`);
    else if (key === "type") chosen.kinds = [...(chosen.kinds ?? []), ...kindsOf(value)];
    else {
      const near = suggest(key, ["until", "type"]);
      const hint = near ? `did you mean ${near}?` : "there is until and type";
      throw badValue("--filter", `${key}=${value}`, `there is no filter ${key}`, hint);
    }
  }
  return chosen;
}

function kindsOf(value: string): readonly PrunedItem["kind"][] {
  const kinds = KINDS[value];
  if (kinds !== undefined) return kinds;
  throw badValue("--filter type", value, "there is no such type", `there is ${Object.keys(KINDS).join(", ")}`);
}

async function isConfirmed({ all }: Typed, { stdin, stdout }: Shell): Promise<boolean> {
  stdout.write(
    `WARNING! This will remove ${all ? "all" : "all dangling"} build cache.\nAre you sure you want to continue? [y/N] `,
  );
  let answer = "";
  for await (const bytes of stdin) {
    answer += Buffer.from(bytes).toString();
    if (answer.includes("\n") || answer.length > 1000) break;
  }
  return /^\s*y(?:es)?\s*$/i.test(answer.split("\n")[0] ?? "");
}

const NOUNS: Readonly<Record<PrunedItem["kind"], string>> = {
  record: "cache record",
  layer: "layer",
  cacheMount: "cache mount",
  failedStep: "failed step",
  context: "context",
  download: "download",
  repository: "git repository",
  blob: "blob",
  leftover: "leftover",
};

function listing({ removed }: PruneReport): string {
  return removed
    .map(({ kind, subject, size }) => `Deleted: ${NOUNS[kind]} ${printable(subject)} (${humanSize(size)})\n`)
    .join("");
}
