import { KbuildError, type StoreFinding, type StoreReport } from "../api.ts";
import { command } from "./command.ts";
import { fsckOptions } from "./options.ts";
import { humanSize, printable, printableJson } from "./render/text.ts";

export const fsckCommand = command({
  name: "fsck",
  usage: "[OPTIONS]",
  about:
    "Checks everything in the store: the bytes of all blobs, what images and cache records refer to, the indexes of " +
    "layers. The status is 1 when data is damaged; what killed processes left behind is no damage.",
  options: fsckOptions,
  operands: { min: 0, max: 0, what: "nothing" },
  examples: ["kbuild fsck", "kbuild fsck --repair"],
  run: async ({ values }, shell) => {
    if (values.json) shell.errorsAs = "json";
    const { checkStore } = await shell.engine();
    const { root, repair } = values;
    const report = await checkStore({ root, repair, signal: shell.interruption.signal });
    shell.stdout.write(
      values.json ? `${printableJson(JSON.stringify(report, null, 2))}\n` : text(report, repair === true),
    );
    const damage = report.findings.filter((one) => one.severity === "damage" && !one.repaired).length;
    if (damage === 0) return;
    throw new KbuildError("build.storeDamaged", `${counted(damage, "thing")} in the store ${isAre(damage)} damaged`, {
      hint: repair ? undefined : "kbuild fsck --repair removes what is damaged; it is made anew when it is needed",
    });
  },
});

function text({ root, findings, checked }: StoreReport, repair: boolean): string {
  const lines = findings.map((finding) => `${finding.subject}: ${finding.message}${ending(finding)}`);
  const { images, blobs, bytes, records, layers } = checked;
  const damage = findings.filter((one) => one.severity === "damage").length;
  const rest = findings.filter((one) => one.severity === "leftover").length;
  lines.push(
    `Checked ${root}: ${counted(images, "image")}, ${counted(blobs, "blob")} (${humanSize(bytes)}), ` +
      `${counted(records, "cache record")}, ${counted(layers, "layer")}.`,
  );
  const left = rest === 0 ? "" : `, ${counted(rest, "leftover")}${repair ? "" : " (kbuild prune removes them)"}`;
  lines.push(`${damage === 0 ? "No damage" : `${damage} damaged`}${left}.`);
  return `${lines.map(printable).join("\n")}\n`;
}

function ending({ repaired }: StoreFinding): string {
  return repaired ? " (removed)" : "";
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function isAre(count: number): string {
  return count === 1 ? "is" : "are";
}
