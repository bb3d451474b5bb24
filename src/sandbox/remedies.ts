import type { ProbeCheck } from "../native/sandbox-protocol.ts";
import type { Machine } from "./machine.ts";

/** Why a mode is not to be had, and the one setting that would change it. */
export interface Explanation {
  /** A clause for a person, without a full stop: "this user has no subordinate ids". */
  readonly reason: string;
  /** A command, or what to do, also without one. Absent when nothing is known to help. */
  readonly remedy?: string;
}

/** Ranges are given out in this size by adduser and useradd, from here on. */
const SPAN = 65_536;

/** For a user without subordinate ids: the command that gives him some. */
export function subordinateRemedy({ user, uid, freeSubordinate }: Machine): string {
  const range = `${freeSubordinate}-${freeSubordinate + SPAN - 1}`;
  // usermod knows no user without a name; the files take a number as well.
  if (user === undefined) return `echo ${uid}:${freeSubordinate}:${SPAN} | tee -a /etc/subuid /etc/subgid`;
  return `usermod --add-subuids ${range} --add-subgids ${range} ${user}`;
}

/** For a process that no program can get more rights to. */
export function privilegeRemedy({ container }: Machine): string {
  if (container === "kubernetes") return "set allowPrivilegeEscalation: true in the container's securityContext";
  if (container !== undefined) return "start the container without --security-opt no-new-privileges";
  return "run kbuild where no_new_privs is not set (systemd: NoNewPrivileges=no)";
}

/** Of a mode that was tried: why a core could not go into its sandbox. `said` is what it told, with the call that failed. */
export function explainEntry(machine: Machine, mode: "userns" | "single" | "chroot", said: string): Explanation {
  if (mode === "chroot") return { reason: said };
  const isMapping = /newuidmap|newgidmap|uid_map|gid_map/.test(said);
  if (!isMapping) return explainConfinement(machine, said);
  const helper = [machine.uidHelper, machine.gidHelper].find((one) => one?.setUid === false);
  if (mode === "userns" && machine.uid !== 0 && helper !== undefined) {
    return { reason: `${helper.path} may not map ids: ${said}`, remedy: `chmod u+s ${helper.path}` };
  }
  if (mode === "userns" && machine.uid !== 0) {
    // What newuidmap says of a range that it does not find in /etc/subuid.
    return { reason: said, ...(/not allowed/.test(said) ? { remedy: subordinateRemedy(machine) } : {}) };
  }
  return explainConfinement(machine, said);
}

/** Of a mode that was gone into: why it is not enough there. */
export function explainCheck(machine: Machine, check: ProbeCheck): Explanation {
  const said = check.call === undefined ? (check.error ?? "refused") : `${check.call}: ${check.error ?? "refused"}`;
  switch (check.name) {
    case "proc":
      // The kernel gives a new /proc only where nothing of the old one is hidden: user_namespaces(7).
      if (machine.container === undefined) return { reason: `no new /proc can be mounted (${said})` };
      return {
        reason: `no new /proc can be mounted (${said}), because parts of this container's are masked`,
        remedy:
          machine.container === "kubernetes"
            ? "set procMount: Unmasked in the container's securityContext"
            : "start the container with --security-opt systempaths=unconfined",
      };
    case "seccomp":
    case "listener":
      return {
        reason: `system calls cannot be watched (${said})`,
        remedy: "use a kernel with CONFIG_SECCOMP_FILTER, 5.9 or later",
      };
    case "chroot":
      return { reason: `chroot is refused (${said})`, remedy: "start the container with --cap-add SYS_CHROOT" };
    case "namespaces":
    case "network":
    case "overlay":
    case "fuseOverlay":
      return explainConfinement(machine, said);
  }
}

/** Which of the things that keep a process from making namespaces and mounts is at work here. */
function explainConfinement(machine: Machine, said: string): Explanation {
  const { container, filtered, appArmorRestriction } = machine;
  if (filtered && container === "kubernetes") {
    return {
      reason: `the pod's seccomp profile does not allow user namespaces (${said})`,
      remedy: "set seccompProfile: {type: Unconfined} in the container's securityContext",
    };
  }
  if (filtered && container !== undefined) {
    return {
      reason: `the container's seccomp profile does not allow user namespaces (${said})`,
      remedy: "start the container with --security-opt seccomp=unconfined",
    };
  }
  if (appArmorRestriction === 1 && machine.uid !== 0) {
    return {
      reason: `AppArmor keeps user namespaces from programs without a profile (${said})`,
      remedy: "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    };
  }
  if (container !== undefined && /mount|pivot_root/.test(said)) {
    return {
      reason: `the container may not mount (${said}), most likely by its AppArmor profile`,
      remedy:
        container === "kubernetes"
          ? "set appArmorProfile: {type: Unconfined} in the container's securityContext"
          : "start the container with --security-opt apparmor=unconfined",
    };
  }
  if (filtered) {
    return {
      reason: `a seccomp filter does not allow user namespaces (${said})`,
      remedy: "run kbuild without that filter (systemd: RestrictNamespaces=no)",
    };
  }
  if (/ENOSPC/.test(said)) {
    return {
      reason: `there are as many user namespaces as the kernel allows (${said})`,
      remedy: "sysctl -w user.max_user_namespaces=65536",
    };
  }
  return { reason: `the kernel does not allow it (${said})` };
}
