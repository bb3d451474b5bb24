import { KbuildError } from "../errors.ts";
import type { SandboxEntry, SandboxMode } from "../native/sandbox-protocol.ts";
import { countIds, identityRows, mapOwnAndSubordinate } from "./id-map.ts";
import type { Machine } from "./machine.ts";
import { type Explanation, privilegeRemedy, subordinateRemedy } from "./remedies.ts";

/** A mode that can be asked for. `emulated` has its name, and is in no version yet. */
export type Isolation = SandboxMode | "emulated";

/** From the best to the least. */
export const ISOLATIONS: readonly Isolation[] = ["userns", "single", "chroot", "emulated"];

/** Ids that an image may well have files of: those of Debian's and Fedora's system users, and nobody. */
export const USUAL_IDS = 65_536;

/** A mode that nothing speaks against so far; whether it really works is only known once it was tried. */
export interface Candidate {
  readonly mode: SandboxMode;
  readonly entry: SandboxEntry;
  /** Whether it is tried without being asked for: where it can be only when a better one is, too, it need not be. */
  readonly automatic: boolean;
}

/** A mode that is not to be had, why, and what would change that. */
export interface Refusal extends Explanation {
  readonly mode: Isolation;
}

export interface Detection {
  /** Best first. */
  readonly candidates: readonly Candidate[];
  readonly refusals: readonly Refusal[];
}

/** capability.h. */
const CAPABILITY = {
  chown: 0,
  dacOverride: 1,
  fowner: 3,
  setgid: 6,
  setuid: 7,
  sysChroot: 18,
  sysAdmin: 21,
  setfcap: 31,
} as const;

/**
 * Tells which sandboxes this machine could give, by what it says of itself: every mode is either a candidate or refused.
 */
export function detectSandboxes(machine: Machine): Detection {
  const found = [usernsOf(machine), singleOf(machine), chrootOf(machine)];
  return {
    candidates: found.filter((one) => "entry" in one),
    refusals: [...found.filter((one) => "reason" in one), EMULATED],
  };
}

/**
 * What `--isolation` asks for; undefined for docker's `default`, which is to choose.
 * @throws KbuildError `usage.isolation`
 */
export function readIsolation(text: string): Isolation | undefined {
  if (text === "" || text === "default" || text === "auto") return undefined;
  const found = ISOLATIONS.find((mode) => mode === text);
  if (found !== undefined) return found;
  throw new KbuildError("usage.isolation", `there is no isolation "${text}"`, {
    hint: `there is ${ISOLATIONS.filter((mode) => mode !== "emulated").join(", ")}, and default to let kbuild choose`,
  });
}

const EMULATED: Refusal = { mode: "emulated", reason: "this version of kbuild does not have it" };

function usernsOf(machine: Machine): Candidate | Refusal {
  const mode = "userns";
  const refusal = refusedNamespaces(machine, mode);
  if (refusal !== undefined) return refusal;
  if (machine.uid === 0) {
    const [uids, gids] = [identityRows(machine.uidMap), identityRows(machine.gidMap)];
    if (countIds(uids) < 2 || countIds(gids) < 2) {
      return {
        mode,
        reason: "root is the only id in the user namespace that kbuild runs in",
        remedy: "run kbuild outside of it, or with a range of ids mapped",
      };
    }
    const missing = missingCapability(machine, ["setuid", "setgid", "setfcap"]);
    if (missing !== undefined) return { mode, ...missing };
    return { mode, entry: { mode, uids, gids }, automatic: true };
  }
  const { uidHelper, gidHelper } = machine;
  if (uidHelper === undefined || gidHelper === undefined) {
    const name = uidHelper === undefined ? "newuidmap" : "newgidmap";
    return {
      mode,
      reason: `${name} is not installed`,
      remedy: "apt-get install uidmap (on Fedora: dnf install shadow-utils)",
    };
  }
  if (machine.noNewPrivileges) {
    const reason = `no_new_privs is set, so that ${uidHelper.path} gets no rights to map ids`;
    return { mode, reason, remedy: privilegeRemedy(machine) };
  }
  if (!machine.bounding.has(CAPABILITY.setuid) || !machine.bounding.has(CAPABILITY.setgid)) {
    const reason = "the capabilities SETUID and SETGID are out of reach, which newuidmap and newgidmap need";
    return { mode, reason, remedy: "start the container with --cap-add SETUID --cap-add SETGID" };
  }
  const uids = mapOwnAndSubordinate(machine.uid, machine.subordinateUids, machine.uidMap);
  const gids = mapOwnAndSubordinate(machine.gid, machine.subordinateGids, machine.gidMap);
  for (const [rows, file, spans] of [
    [uids, "/etc/subuid", machine.subordinateUids],
    [gids, "/etc/subgid", machine.subordinateGids],
  ] as const) {
    if (rows.length > 1) continue;
    const reason =
      spans.length === 0
        ? `${machine.user ?? `uid ${machine.uid}`} has no subordinate ids in ${file}`
        : `the subordinate ids in ${file} are not mapped in the user namespace that kbuild runs in`;
    return { mode, reason, remedy: subordinateRemedy(machine) };
  }
  const helpers = { uid: uidHelper.path, gid: gidHelper.path };
  return { mode, entry: { mode, uids, gids, helpers }, automatic: true };
}

function singleOf(machine: Machine): Candidate | Refusal {
  const mode = "single";
  const refusal = refusedNamespaces(machine, mode);
  if (refusal !== undefined) return refusal;
  const row = (outside: number) => [{ inside: 0, outside, count: 1 }];
  const entry = { mode, uids: row(machine.uid), gids: row(machine.gid) } as const;
  // For root with its ids, what refuses one namespace refuses the other; chroot is the better one then.
  const isLesser = machine.uid === 0 && countIds(identityRows(machine.uidMap)) > 1;
  return { mode, entry, automatic: !isLesser };
}

function chrootOf(machine: Machine): Candidate | Refusal {
  const mode = "chroot";
  if (machine.platform !== "linux") return notLinux(mode);
  if (machine.uid !== 0) {
    const remedy = machine.container === undefined ? "run kbuild as root" : "run the container as root (--user 0)";
    return { mode, reason: "kbuild does not run as root", remedy };
  }
  if (countIds(identityRows(machine.uidMap)) < 2 || countIds(identityRows(machine.gidMap)) < 2) {
    const reason = "root is the only id that is mapped here: files of others cannot be made";
    return { mode, reason, remedy: "run kbuild with a range of ids mapped" };
  }
  const missing = missingCapability(machine, ["sysChroot", "chown", "dacOverride", "fowner", "setuid", "setgid"]);
  if (missing !== undefined) return { mode, ...missing };
  return { mode, entry: { mode, uids: [], gids: [] }, automatic: true };
}

/** What the kernel's settings alone say about user namespaces. */
function refusedNamespaces(machine: Machine, mode: Isolation): Refusal | undefined {
  if (machine.platform !== "linux") return notLinux(mode);
  if (machine.uidMap.length === 0) {
    return { mode, reason: "the kernel has no user namespaces, or /proc is not mounted", remedy: "mount /proc" };
  }
  if (machine.maxUserNamespaces === 0) {
    const remedy = "sysctl -w user.max_user_namespaces=65536";
    return { mode, reason: "the kernel is set to allow no user namespace at all", remedy };
  }
  if (machine.unprivilegedNamespaces === 0 && !machine.effective.has(CAPABILITY.sysAdmin)) {
    const remedy = "sysctl -w kernel.unprivileged_userns_clone=1";
    return { mode, reason: "the kernel is set to allow user namespaces to root alone", remedy };
  }
  return undefined;
}

function notLinux(mode: Isolation): Refusal {
  return { mode, reason: "RUN needs a Linux kernel", remedy: "run kbuild on Linux, or in a container" };
}

function missingCapability(machine: Machine, wanted: readonly (keyof typeof CAPABILITY)[]): Explanation | undefined {
  const missing = wanted.filter((name) => !machine.effective.has(CAPABILITY[name])).map(capabilityName);
  if (missing.length === 0) return undefined;
  return {
    reason: `root lacks the ${missing.length > 1 ? "capabilities" : "capability"} ${missing.join(", ")}`,
    remedy: `start the container with ${missing.map((name) => `--cap-add ${name}`).join(" ")}`,
  };
}

/** `dacOverride` is `DAC_OVERRIDE`. */
function capabilityName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
