import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type {
  Exited,
  SandboxEntry,
  SandboxMount,
  SandboxPlan,
  SandboxRoot,
} from "../../src/native/sandbox-protocol.ts";
import { type Account, makeAccount } from "./accounts.ts";
import { RawCore } from "./raw-core.ts";
import { workspace } from "./workspace.ts";

/** How a sandbox core is started in a test. */
export type SandboxKind = "userns" | "subordinate" | "single" | "chroot";

/** What a step came to. */
export interface Stepped {
  readonly exited: Exited | undefined;
  /** The failure, when it did not run. */
  readonly failure: { readonly code: string; readonly message: string } | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Number of `output` events. */
  readonly events: number;
  /** The upper directory of its overlay, or its tree. */
  readonly changes: string;
}

export type PlanChange = Partial<Omit<SandboxPlan, "root" | "mounts">> & {
  readonly mounts?: readonly SandboxMount[];
  /** A copied root where an overlay could be had. */
  readonly copied?: boolean;
  /** More unpacked layers, above the busybox. */
  readonly layers?: readonly string[];
};

const ALL = 4_294_967_295;

/** A sandbox core with a root file system of busybox for its steps. */
export class SandboxCore {
  readonly folder = workspace("kbuild-sandbox");
  readonly kind: SandboxKind;
  readonly core: RawCore;
  readonly layer: string;
  readonly #owner: Account | undefined;
  #number = 0;

  constructor(kind: SandboxKind) {
    this.kind = kind;
    if (kind === "subordinate" || kind === "single") {
      this.#owner = makeAccount(kind === "single" ? "plain" : "subordinate");
    }
    this.layer = this.#makeLayer();
    const { uid, gid } = this.#owner ?? { uid: 0, gid: 0 };
    this.core = new RawCore({ uid, gid, argv: ["sandbox", JSON.stringify(entryOf(kind, this.#owner))] });
  }

  /** Runs a shell script to its end. */
  run(script: string, change: PlanChange = {}): Promise<Stepped> {
    return this.execute(["/bin/sh", "-c", script], change);
  }

  /** Runs a command to its end. */
  async execute(command: readonly string[], change: PlanChange = {}): Promise<Stepped> {
    const { id, changes } = this.start(command, change);
    return this.outcome(id, changes);
  }

  /** Starts a command; what comes of it is read by {@link outcome}. */
  start(command: readonly string[], change: PlanChange = {}): { readonly id: number; readonly changes: string } {
    this.#number += 1;
    const id = this.#number;
    const { copied, layers = [], ...planned } = change;
    const { root, changes } = this.#makeRoot(copied === true || this.kind === "chroot", layers);
    const plan: SandboxPlan = {
      root,
      owners: this.kind === "single" ? "recorded" : "real",
      hostname: "buildkitsandbox",
      network: "host",
      mounts: [],
      command,
      environment: ["PATH=/usr/local/bin:/bin", "HOME=/root"],
      directory: "/",
      uid: 0,
      gid: 0,
      groups: [],
      security: "default",
      limits: [],
      sharedMemory: 1 << 20,
      ...planned,
    };
    this.core.send({ op: "run", id, plan });
    return { id, changes };
  }

  /** The outcome of a step; other steps of this core must not run meanwhile. */
  async outcome(id: number, changes = ""): Promise<Stepped> {
    const printed: { readonly stdout: Buffer[]; readonly stderr: Buffer[] } = { stdout: [], stderr: [] };
    let events = 0;
    for (;;) {
      const { head, body } = await this.core.answer();
      if (!("id" in head) || head.id !== id) throw new Error(`an answer to something else: ${JSON.stringify(head)}`);
      if (head.reply === "output") {
        printed[head.stream].push(body);
        events += 1;
        continue;
      }
      const [stdout, stderr] = [printed.stdout, printed.stderr].map((parts) => Buffer.concat(parts).toString());
      const said = { stdout: stdout ?? "", stderr: stderr ?? "", events, changes };
      if (head.reply === "exited") return { exited: head, failure: undefined, ...said };
      if (head.reply === "failed") return { exited: undefined, failure: head, ...said };
      throw new Error(`an answer to something else: ${JSON.stringify(head)}`);
    }
  }

  /** An empty folder of the core's user. */
  makeFolder(): string {
    const folder = fs.mkdtempSync(path.join(this.folder, "folder-"));
    fs.chmodSync(folder, 0o755);
    if (this.#owner !== undefined) fs.chownSync(folder, this.#owner.uid, this.#owner.gid);
    return folder;
  }

  /** Gives a tree to the core's user. */
  own(folder: string): void {
    const { uid, gid } = this.#owner ?? { uid: 0, gid: 0 };
    execFileSync("chown", ["-R", "-h", `${uid}:${gid}`, folder]);
  }

  async close(): Promise<void> {
    this.core.child.kill("SIGKILL");
    await this.core.ended;
  }

  #makeRoot(isCopied: boolean, layers: readonly string[]): { readonly root: SandboxRoot; readonly changes: string } {
    const folder = this.makeFolder();
    if (!isCopied) {
      const root: SandboxRoot = { kind: "overlay", lower: [this.layer, ...layers], scratch: folder };
      return { root, changes: path.join(folder, "upper") };
    }
    const tree = path.join(folder, "tree");
    execFileSync("cp", ["-a", this.layer, tree]);
    return { root: { kind: "copy", path: tree }, changes: tree };
  }

  #makeLayer(): string {
    const layer = path.join(this.folder, "layer");
    for (const name of ["bin", "etc", "tmp", "var/lib"]) fs.mkdirSync(path.join(layer, name), { recursive: true });
    const busybox = path.join(layer, "bin/busybox");
    fs.copyFileSync(execFileSync("which", ["busybox"], { encoding: "utf8" }).trim(), busybox);
    fs.chmodSync(busybox, 0o755);
    for (const name of execFileSync(busybox, ["--list"], { encoding: "utf8" }).split("\n")) {
      if (name !== "" && name !== "busybox") fs.symlinkSync("busybox", path.join(layer, "bin", name));
    }
    fs.writeFileSync(path.join(layer, "etc/passwd"), "root:x:0:0::/:/bin/sh\nbob:x:1000:1000::/tmp:/bin/sh\n");
    fs.writeFileSync(path.join(layer, "etc/group"), "root:x:0:\nbob:x:1000:\n");
    fs.chmodSync(path.join(layer, "tmp"), 0o1777);
    this.own(this.folder);
    for (const name of ["etc", "var", "tmp", "."]) fs.utimesSync(path.join(layer, name), 1_000_000_000, 1_000_000_000);
    return layer;
  }
}

function entryOf(kind: SandboxKind, owner: Account | undefined): SandboxEntry {
  const { uid, gid, name } = owner ?? { uid: 0, gid: 0, name: "root" };
  const range = (outside: number, count: number) => ({ inside: 0, outside, count });
  switch (kind) {
    case "chroot":
      return { mode: "chroot", uids: [], gids: [] };
    case "single":
      return { mode: "single", uids: [range(uid, 1)], gids: [range(gid, 1)] };
    case "userns":
      return { mode: "userns", uids: [range(0, ALL)], gids: [range(0, ALL)] };
    case "subordinate":
      return {
        mode: "userns",
        uids: [range(uid, 1), subordinate("/etc/subuid", name)],
        gids: [range(gid, 1), subordinate("/etc/subgid", name)],
        helpers: { uid: "/usr/bin/newuidmap", gid: "/usr/bin/newgidmap" },
      };
  }
}

function subordinate(file: string, name: string): { inside: number; outside: number; count: number } {
  const line = fs
    .readFileSync(file, "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${name}:`));
  const [, outside, count] = (line ?? "").split(":");
  return { inside: 1, outside: Number(outside), count: Number(count) };
}
