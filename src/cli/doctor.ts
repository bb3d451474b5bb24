import { type Diagnosis, KbuildError } from "../api.ts";
import { command } from "./command.ts";
import { doctorOptions } from "./options.ts";
import { humanSize, printable, printableJson } from "./render/text.ts";

export const doctorCommand = command({
  name: "doctor",
  usage: "[OPTIONS]",
  about:
    "Says how RUN is run on this machine. It opens a sandbox as a build would, and tells of each better mode why this " +
    "machine does not give it, and the one setting that would. The status is 4 when RUN cannot be run.",
  options: doctorOptions,
  operands: { min: 0, max: 0, what: "nothing" },
  examples: ["kbuild doctor", "kbuild doctor --isolation chroot", "kbuild doctor --json"],
  run: async ({ values }, shell) => {
    if (values.json || values.plan) shell.errorsAs = "json";
    const { doctor } = await shell.engine();
    const { root, isolation } = values;
    const diagnosis = await doctor({ root, isolation, signal: shell.interruption.signal });
    const { sandbox } = diagnosis;
    if (values.plan) {
      if (sandbox !== undefined) shell.stdout.write(`${JSON.stringify(sandbox.entry, null, 2)}\n`);
    } else if (values.json) shell.stdout.write(`${printableJson(JSON.stringify(diagnosis, null, 2))}\n`);
    else shell.stdout.write(report(diagnosis, isolation));
    if (sandbox === undefined) {
      const asked = isolation === undefined ? "" : ` in the mode ${isolation}`;
      throw new KbuildError("machine.noSandbox", `RUN cannot be run on this machine${asked}`);
    }
  },
});

const MODES: Readonly<Record<string, string>> = {
  userns: "a user namespace with a range of ids",
  single: "a user namespace with one id; other owners are kept on record",
  chroot: "root in a changed root, without namespaces",
  emulated: "a process whose system calls are answered by kbuild",
};

const STRATEGIES: Readonly<Record<string, string>> = {
  overlay: "layers are unpacked once and stacked by overlayfs",
  copy: "layers are copied into a tree for each step that needs one",
};

/** The ids of the kernel are 32 bits wide, and one of them means none. */
const ALL_IDS = 2 ** 32 - 1;

/** Failed checks that leave a sandbox usable, and what they mean. */
const LIMITS: Readonly<Record<string, string>> = {
  network: "RUN --network=none cannot be had",
  seccomp: "system calls of steps are not filtered",
  listener: "system calls of steps cannot be answered",
};

function report({ sandbox, refusals, store, kernel, user }: Diagnosis, isolation: string | undefined): string {
  const lines: string[] = [];
  if (sandbox === undefined) {
    lines.push(
      isolation === undefined
        ? "RUN cannot be run here. Builds without RUN can."
        : `RUN cannot be run here in the mode ${isolation}.`,
    );
  } else {
    lines.push(`RUN is run in the mode ${sandbox.mode}: ${MODES[sandbox.mode]}.`);
    const served = sandbox.fuseOverlayfs;
    const stacked =
      served === undefined ? STRATEGIES[sandbox.strategy] : `layers are unpacked once and stacked by ${served}`;
    lines.push("", `  files    ${stacked}`);
    if (sandbox.entry.uids.length > 0) lines.push(`  ids      ${ids(sandbox.entry)}`);
  }
  if (sandbox === undefined) lines.push("");
  const fileSystem = store.fileSystem === undefined ? "" : `${store.fileSystem}, `;
  lines.push(`  store    ${store.path} (${fileSystem}${humanSize(store.free)} free)`);
  lines.push(`  kernel   ${kernel}`);
  lines.push(`  user     ${user.name === undefined ? `uid ${user.uid}` : `${user.name} (uid ${user.uid})`}`);
  const limits = (sandbox?.checks ?? []).flatMap(({ name, ok, call, error }) => {
    const meaning = ok || (name === "listener" && sandbox?.mode !== "chroot") ? undefined : LIMITS[name];
    const said = [call, error].filter((part) => part !== undefined).join(": ");
    return meaning === undefined ? [] : [`${meaning}${said === "" ? "" : ` (${said})`}`];
  });
  for (const warning of [...(sandbox?.warnings ?? []), ...limits]) lines.push(`  note     ${warning}`);
  if (refusals.length > 0) {
    lines.push("", sandbox === undefined ? "What this machine does not give:" : "Better modes:");
    for (const { mode, reason, remedy } of refusals) {
      lines.push(`  ${mode.padEnd(8)} ${reason}`);
      if (remedy !== undefined) lines.push(`           to have it: ${remedy}`);
    }
  }
  return `${lines.map(printable).join("\n")}\n`;
}

function ids({ uids, gids }: NonNullable<Diagnosis["sandbox"]>["entry"]): string {
  const count = (rows: typeof uids): number => rows.reduce((sum, row) => sum + row.count, 0);
  const [users, groups] = [count(uids), count(gids)];
  if (users === 1 && groups === 1) return "1 user and 1 group";
  if (users >= ALL_IDS && groups >= ALL_IDS) return "all users and groups";
  return `${users} users and ${groups} groups`;
}
