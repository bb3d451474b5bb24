import { readFileSync, realpathSync, statfsSync } from "node:fs";
import { release } from "node:os";
import type { Owners, ProbeCheck, SandboxEntry, SandboxMode } from "../native/sandbox-protocol.ts";
import { storeFault } from "../oci/layout/faults.ts";
import { defaultRoot, openStore } from "../oci/layout/store.ts";
import type { Isolation, Refusal } from "../sandbox/detect.ts";
import { readMachine } from "../sandbox/machine.ts";
import { findSandbox } from "../sandbox/open.ts";

/** What a machine gives builds. */
export interface Diagnosis {
  /** How a RUN is run; absent when it cannot be. */
  readonly sandbox?: DiagnosedSandbox;
  /** The better modes, or without a sandbox all of them: why this machine does not give them, and what would change that. */
  readonly refusals: readonly Refusal[];
  readonly store: {
    readonly path: string;
    /** As the kernel names it: `ext4`, `overlay`; absent when it cannot be told. */
    readonly fileSystem?: string;
    /** Bytes that this user may still write. */
    readonly free: number;
  };
  /** Version of the kernel. */
  readonly kernel: string;
  readonly user: { readonly uid: number; readonly name?: string };
}

export interface DiagnosedSandbox {
  readonly mode: SandboxMode;
  /** How a step's root is made: unpacked layers stacked by overlayfs, or copied into one tree. */
  readonly strategy: "overlay" | "copy";
  /** Path of fuse-overlayfs, when it stacks them because the kernel does not. */
  readonly fuseOverlayfs?: string | undefined;
  readonly owners: Owners;
  /** What steps may miss, one sentence each. */
  readonly warnings: readonly string[];
  /** What was tried in the sandbox. */
  readonly checks: readonly ProbeCheck[];
  readonly entry: SandboxEntry;
}

export interface DoctorOptions {
  readonly root?: string | undefined;
  /** The one mode to look at; without it the best that works. */
  readonly isolation?: Isolation | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a sandbox as a build would, and tells of it. The store is made when there is none, as a build would.
 * @throws KbuildError when the store cannot be used, or there is no core of kbuild; that there is no sandbox is an answer
 */
export async function diagnose({ root, isolation, signal }: DoctorOptions): Promise<Diagnosis> {
  const machine = readMachine();
  const store = openStore(root ?? defaultRoot(process.env), { create: true });
  const { sandbox, refusals } = await findSandbox(machine, { isolation, temporary: store.temporaryFolder, signal });
  await sandbox?.client.close();
  return {
    ...(sandbox === undefined ? {} : { sandbox: describe(sandbox) }),
    refusals,
    store: describeStore(store.root),
    kernel: release(),
    user: { uid: machine.uid, ...(machine.user === undefined ? {} : { name: machine.user }) },
  };
}

function describe({
  mode,
  strategy,
  fuseOverlayfs,
  owners,
  warnings,
  checks,
  entry,
}: DiagnosedSandbox): DiagnosedSandbox {
  return { mode, strategy, fuseOverlayfs, owners, warnings, checks, entry };
}

function describeStore(path: string): Diagnosis["store"] {
  try {
    const real = realpathSync(path);
    const { bavail, bsize } = statfsSync(real);
    const fileSystem = fileSystemOf(real, mounts());
    return { path, ...(fileSystem === undefined ? {} : { fileSystem }), free: bavail * bsize };
  } catch (error) {
    throw storeFault(error, path);
  }
}

/** Nothing where there is no /proc. */
function mounts(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}

/** The type of the file system that a path is on, by a text like /proc/self/mountinfo: proc_pid_mountinfo(5). */
export function fileSystemOf(path: string, mountinfo: string): string | undefined {
  let [best, found]: [string, string | undefined] = ["", undefined];
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const point = left
      .split(" ")[4]
      ?.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    const type = right.split(" ")[0];
    if (point === undefined || !type) continue;
    const isAbove = path === point || path.startsWith(point === "/" ? "/" : `${point}/`);
    // Of several at one place the last is on top.
    if (isAbove && point.length >= best.length) [best, found] = [point, type];
  }
  return found;
}
