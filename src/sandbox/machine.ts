import * as fs from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { lazyBuiltin } from "../lazy-builtin.ts";
import type { IdRange } from "../native/sandbox-protocol.ts";

const os = lazyBuiltin<typeof import("node:os")>("node:os");

/** What of a machine decides which sandboxes it gives. Read by {@link readMachine}; a plain value, so that tests make their own. */
export interface Machine {
  /** `linux`, as Node has it. */
  readonly platform: string;
  /** Effective ids. */
  readonly uid: number;
  readonly gid: number;
  /** The user's name; undefined for an id that has none. */
  readonly user: string | undefined;
  /** The ids that are mapped in this user namespace: uid_map and gid_map of /proc/self. */
  readonly uidMap: readonly IdRange[];
  readonly gidMap: readonly IdRange[];
  /** Ids that the user may map besides his own: /etc/subuid and /etc/subgid. */
  readonly subordinateUids: readonly IdSpan[];
  readonly subordinateGids: readonly IdSpan[];
  /** Where a range begins that no user has in either file. */
  readonly freeSubordinate: number;
  /** newuidmap and newgidmap. */
  readonly uidHelper: Helper | undefined;
  readonly gidHelper: Helper | undefined;
  /** Path of fuse-overlayfs, as PATH has it. */
  readonly fuseOverlayfs: string | undefined;
  /** Effective and bounding capabilities, by their numbers in capability.h. */
  readonly effective: ReadonlySet<number>;
  readonly bounding: ReadonlySet<number>;
  readonly noNewPrivileges: boolean;
  /** Whether this process runs under a seccomp filter. */
  readonly filtered: boolean;
  /** Undefined where the kernel has no such setting. */
  readonly maxUserNamespaces: number | undefined;
  readonly unprivilegedNamespaces: number | undefined;
  readonly appArmorRestriction: number | undefined;
  readonly container: Container | undefined;
}

export interface IdSpan {
  readonly start: number;
  readonly count: number;
}

export interface Helper {
  readonly path: string;
  /** Whether it is set-uid root. Without that it may still have capabilities of its own, which cannot be seen from here. */
  readonly setUid: boolean;
}

export type Container = "docker" | "podman" | "kubernetes" | "other";

/** Where the facts come from. Nothing in it throws. */
export interface System {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly gid: number;
  userName(): string | undefined;
  /** A file's text; undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** Undefined when there is no file that can be executed. */
  executable(path: string): { readonly setUid: boolean } | undefined;
}

/** More of /etc/subuid is not read: that is some 100,000 users. */
const MAX_TEXT = 4 * 1024 * 1024;
/** The ids of a user namespace are 32 bits wide, and the last one means none. */
const LAST_ID = 0xffff_fffe;
const FIRST_SUBORDINATE = 100_000;
/** Where the helpers are on systems whose PATH for people lacks them. */
const HELPER_FOLDERS = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin"];

/** Looks at this machine: some twenty small files, no process is started. */
export function readMachine(system: System = thisSystem()): Machine {
  const status = statusOf(system.read("/proc/self/status") ?? "");
  const user = system.userName();
  const [subuid, subgid] = [system.read("/etc/subuid") ?? "", system.read("/etc/subgid") ?? ""];
  return {
    platform: system.platform,
    uid: system.uid,
    gid: system.gid,
    user,
    uidMap: parseMap(system.read("/proc/self/uid_map") ?? ""),
    gidMap: parseMap(system.read("/proc/self/gid_map") ?? ""),
    subordinateUids: parseSubordinate(subuid, user, system.uid),
    // Of groups, too, the user's name or uid stands in front: subgid(5).
    subordinateGids: parseSubordinate(subgid, user, system.uid),
    freeSubordinate: endOfSubordinate(`${subuid}\n${subgid}`),
    uidHelper: findHelper(system, "newuidmap"),
    gidHelper: findHelper(system, "newgidmap"),
    fuseOverlayfs: findHelper(system, "fuse-overlayfs", [])?.path,
    effective: bitsOf(status.get("CapEff") ?? "0"),
    bounding: bitsOf(status.get("CapBnd") ?? "0"),
    noNewPrivileges: status.get("NoNewPrivs") === "1",
    filtered: status.get("Seccomp") === "2",
    maxUserNamespaces: numberIn(system, "/proc/sys/user/max_user_namespaces"),
    unprivilegedNamespaces: numberIn(system, "/proc/sys/kernel/unprivileged_userns_clone"),
    appArmorRestriction: numberIn(system, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    container: containerOf(system),
  };
}

/** The machine that this process runs on. */
export function thisSystem(): System {
  return {
    platform: process.platform,
    env: process.env,
    uid: process.geteuid?.() ?? -1,
    gid: process.getegid?.() ?? -1,
    userName: () => {
      try {
        return os().userInfo().username;
      } catch {
        // An id that /etc/passwd does not know, as containers often have: it may still stand in /etc/subuid by its number.
        return undefined;
      }
    },
    read: (path) => {
      try {
        return readBeginning(path);
      } catch {
        return undefined;
      }
    },
    executable: (path) => {
      try {
        fs.accessSync(path, fs.constants.X_OK);
        const stat = fs.statSync(path);
        return stat.isFile() ? { setUid: stat.uid === 0 && (stat.mode & 0o4000) !== 0 } : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

/** Files of /proc have no size: it is read until nothing comes. */
function readBeginning(path: string): string {
  const file = fs.openSync(path, "r");
  try {
    const parts: Buffer[] = [];
    for (let total = 0; total < MAX_TEXT; ) {
      const part = Buffer.allocUnsafe(64 * 1024);
      const length = fs.readSync(file, part, 0, part.length, null);
      if (length === 0) break;
      parts.push(part.subarray(0, length));
      total += length;
    }
    return Buffer.concat(parts).toString("latin1");
  } finally {
    fs.closeSync(file);
  }
}

/** Lines of /proc/PID/status: proc_pid_status(5). */
function statusOf(text: string): ReadonlyMap<string, string> {
  const lines = text.split("\n").map((line) => line.split(":", 2));
  return new Map(lines.map(([name = "", value = ""]) => [name, value.trim()]));
}

function bitsOf(hexadecimal: string): ReadonlySet<number> {
  const value = /^[0-9a-f]{1,32}$/i.test(hexadecimal) ? BigInt(`0x${hexadecimal}`) : 0n;
  const bits = new Set<number>();
  for (let bit = 0; bit < 128; bit += 1) if ((value >> BigInt(bit)) & 1n) bits.add(bit);
  return bits;
}

function numberIn(system: System, path: string): number | undefined {
  const text = system.read(path)?.trim();
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Rows of uid_map and gid_map, user_namespaces(7); what is no row is passed over. */
export function parseMap(text: string): IdRange[] {
  const rows: IdRange[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*(\d{1,10})\s+(\d{1,10})\s+(\d{1,10})\s*$/.exec(line);
    if (match === null) continue;
    const [inside = 0, outside = 0, count = 0] = match.slice(1).map(Number);
    if (count > 0) rows.push({ inside, outside, count });
  }
  return rows;
}

/**
 * The ranges of a user in /etc/subuid or /etc/subgid, in the file's order: subuid(5). Lines have his name or his uid.
 * What is no range, and what goes over the last id, is passed over, as newuidmap does.
 */
export function parseSubordinate(text: string, user: string | undefined, uid: number): IdSpan[] {
  const owners = [`${uid}`, ...(user === undefined || user === "" ? [] : [user])];
  const spans: IdSpan[] = [];
  for (const line of text.split("\n")) {
    const [owner = "", first = "", size = "", ...rest] = line.trim().split(":");
    if (!owners.includes(owner) || rest.length > 0 || !/^\d{1,10}$/.test(first) || !/^\d{1,10}$/.test(size)) continue;
    const [start, count] = [Number(first), Number(size)];
    if (count > 0 && start + count - 1 <= LAST_ID) spans.push({ start, count });
  }
  return spans;
}

/** The first id after all ranges of all users; 100,000, where useradd begins, when there are none. */
function endOfSubordinate(text: string): number {
  let end = FIRST_SUBORDINATE;
  for (const line of text.split("\n")) {
    const [, first = "", size = ""] = line.trim().split(":");
    if (/^\d{1,10}$/.test(first) && /^\d{1,10}$/.test(size)) end = Math.max(end, Number(first) + Number(size));
  }
  // No room is left after them, which the command that this is for will say in its own words.
  return end > LAST_ID ? FIRST_SUBORDINATE : end;
}

function findHelper(system: System, name: string, more: readonly string[] = HELPER_FOLDERS): Helper | undefined {
  const folders = (system.env.PATH ?? "").split(delimiter).filter(isAbsolute);
  for (const folder of [...folders, ...more]) {
    const path = join(folder, name);
    const found = system.executable(path);
    if (found !== undefined) return { path, ...found };
  }
  return undefined;
}

function containerOf(system: System): Container | undefined {
  if (system.env.KUBERNETES_SERVICE_HOST) return "kubernetes";
  if (system.read("/run/.containerenv") !== undefined) return "podman";
  if (system.read("/.dockerenv") !== undefined) return "docker";
  // systemd(1): whoever runs a container tells its init so.
  const told = system.env.container ?? /(?:^|\0)container=([^\0]*)/.exec(system.read("/proc/1/environ") ?? "")?.[1];
  if (told === "podman" || told === "docker") return told;
  return told ? "other" : undefined;
}
