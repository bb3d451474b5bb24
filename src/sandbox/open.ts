import { KbuildError } from "../errors.ts";
import { NativeClient } from "../native/client.ts";
import type { Owners, ProbeCheck, SandboxEntry, SandboxMode } from "../native/sandbox-protocol.ts";
import { type Candidate, detectSandboxes, ISOLATIONS, type Isolation, type Refusal, USUAL_IDS } from "./detect.ts";
import { countIds } from "./id-map.ts";
import type { Machine } from "./machine.ts";
import { type Explanation, explainCheck, explainEntry } from "./remedies.ts";

/** A core in a sandbox, and what it is good for. Whoever opened it closes its client. */
export interface Sandbox {
  readonly client: NativeClient;
  readonly mode: SandboxMode;
  readonly entry: SandboxEntry;
  /** How owners are on disk, in unpacked layers and in what a step changed. */
  readonly owners: Owners;
  /** How a step's root is made: unpacked layers stacked by overlayfs, or copied into one tree. */
  readonly strategy: "overlay" | "copy";
  /** Path of fuse-overlayfs, when it stacks them in the kernel's place. */
  readonly fuseOverlayfs: string | undefined;
  /** What steps may miss here, one sentence each. */
  readonly warnings: readonly string[];
  readonly checks: readonly ProbeCheck[];
  /** The better modes, and why they are not to be had. */
  readonly refusals: readonly Refusal[];
}

export interface OpenOptions {
  /** The one mode that will do; without it the best that works. */
  readonly isolation?: Isolation | undefined;
  /** A folder of the store's file system, for trial mounts. */
  readonly temporary: string;
  readonly signal?: AbortSignal | undefined;
  /** Makes the client of a core that goes into a sandbox; it need not be started yet. */
  readonly start?: (entry: SandboxEntry) => NativeClient;
}

/**
 * Tries the modes that this machine may give, the best first, and opens the first that works: its core is there and was
 * asked what it may do. With an isolation that was asked for, that one or none.
 *
 * @throws KbuildError `machine.noSandbox`, which says of each mode why not, and what would change it; what else keeps a
 *   core from starting (`machine.noNative`) as it is
 */
export async function openSandbox(machine: Machine, options: OpenOptions): Promise<Sandbox> {
  const { sandbox, refusals } = await findSandbox(machine, options);
  if (sandbox === undefined) throw noSandbox(refusals, options.isolation);
  return sandbox;
}

/** The same; without a sandbox it gives the refusals of all modes that were wanted. */
export async function findSandbox(
  machine: Machine,
  options: OpenOptions,
): Promise<{ readonly sandbox: Sandbox | undefined; readonly refusals: readonly Refusal[] }> {
  const { isolation } = options;
  const { candidates, refusals } = detectSandboxes(machine);
  const told = [...refusals];
  const toldOf = (modes: readonly Isolation[]): Refusal[] =>
    modes.flatMap((mode) => told.filter((refusal) => refusal.mode === mode));
  for (const candidate of candidates) {
    if (isolation === undefined ? !candidate.automatic : candidate.mode !== isolation) continue;
    const outcome = await attempt(machine, candidate, options);
    if ("reason" in outcome) {
      told.push({ mode: candidate.mode, ...outcome });
      continue;
    }
    const better = toldOf(ISOLATIONS.slice(0, ISOLATIONS.indexOf(candidate.mode)));
    return { sandbox: { ...outcome, refusals: better }, refusals: better };
  }
  return { sandbox: undefined, refusals: toldOf(isolation === undefined ? ISOLATIONS : [isolation]) };
}

async function attempt(
  machine: Machine,
  { mode, entry }: Candidate,
  { temporary, signal, start = (given) => new NativeClient(given) }: OpenOptions,
): Promise<Omit<Sandbox, "refusals"> | Explanation> {
  const client = start(entry);
  let fit = false;
  try {
    const entered = await enter(client);
    if (entered !== undefined) return explainEntry(machine, mode, entered);
    // What it keeps of its own about files is not what is kept where owners are on record.
    const program = mode === "userns" ? machine.fuseOverlayfs : undefined;
    const given = program === undefined ? {} : { fuseOverlayfs: program };
    const { checks } = await client.probe({ temporary, ...given }, { signal });
    const needed = NEEDED[mode].map((name) => checks.find((check) => check.name === name) ?? missing(name));
    const [first] = needed.filter((check) => !check.ok);
    if (first !== undefined) return explainCheck(machine, first);
    fit = true;
    const works = (name: ProbeCheck["name"]) => checks.some((check) => check.name === name && check.ok);
    const isServed = program !== undefined && !works("overlay") && works("fuseOverlay");
    const strategy = isServed || (mode !== "chroot" && works("overlay")) ? "overlay" : "copy";
    const fuseOverlayfs = isServed ? program : undefined;
    const owners = mode === "single" ? "recorded" : "real";
    const warnings = warningsOf(entry, strategy, checks);
    return { client, mode, entry, owners, strategy, fuseOverlayfs, warnings, checks };
  } finally {
    if (!fit) await client.close();
  }
}

/** What a mode cannot do without. Without `overlay` trees are copied, without `network` only `--network=none` is missing. */
const NEEDED: Readonly<Record<SandboxMode, readonly ProbeCheck["name"][]>> = {
  userns: ["namespaces", "proc", "seccomp"],
  single: ["namespaces", "proc", "seccomp", "listener"],
  chroot: ["chroot"],
};

function missing(name: ProbeCheck["name"]): ProbeCheck {
  return { name, ok: false, error: "the core did not try it" };
}

/** The reason that the core gives for not being able to enter; undefined when it is inside. */
async function enter(client: NativeClient): Promise<string | undefined> {
  try {
    await client.ready();
    return undefined;
  } catch (error) {
    if (!(error instanceof KbuildError) || error.code !== "machine.sandbox") throw error;
    return error.message.replace(/^the sandbox cannot be made: /, "");
  }
}

function warningsOf(entry: SandboxEntry, strategy: Sandbox["strategy"], checks: readonly ProbeCheck[]): string[] {
  const warnings: string[] = [];
  const ids = Math.min(countIds(entry.uids), countIds(entry.gids));
  if (entry.mode === "userns" && ids < USUAL_IDS) {
    warnings.push(`only ${ids} ids are mapped: files of users and groups with higher ones cannot be made`);
  }
  const overlay = checks.find((check) => check.name === "overlay");
  if (entry.mode !== "chroot" && strategy === "copy") {
    const served = checks.find((check) => check.name === "fuseOverlay");
    const said = [overlay, served]
      .flatMap((check) => (check === undefined || check.ok ? [] : [sayingOf(check)]))
      .join("; ");
    warnings.push(`overlayfs cannot be used on the store's file system (${said}): steps run slower, on copies`);
  }
  return warnings;
}

function sayingOf({ name, call, error }: ProbeCheck): string {
  const said = [call, error].filter((part) => part !== undefined).join(": ");
  return name === "fuseOverlay" ? `fuse-overlayfs: ${said}` : said;
}

function noSandbox(refusals: readonly Refusal[], isolation: Isolation | undefined): KbuildError {
  const reasons = refusals.map(({ mode, reason }) => `${mode}: ${reason}`);
  const remedies = refusals.flatMap(({ mode, remedy }) => (remedy === undefined ? [] : [`for ${mode}: ${remedy}`]));
  const subject =
    isolation === undefined
      ? "RUN needs a sandbox, and this machine gives none"
      : `this machine does not give the isolation ${isolation}`;
  return new KbuildError("machine.noSandbox", [subject, ...reasons].join("\n"), {
    hint: remedies.length === 0 ? undefined : `one of these is enough\n${remedies.join("\n")}`,
  });
}
