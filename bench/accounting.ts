import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** Seconds of processor time. */
export interface Usage {
  readonly user: number;
  readonly system: number;
}

/** Who did what: the processes of one engine, its daemon included, from its first command to its last. */
export interface Account {
  /** What the bench starts from here on is counted. Its own processor time and memory never are. */
  enter(): void;
  leave(): void;
  /** All processes that live now. */
  pids(): readonly number[];
  usage(): Usage;
  /** Called with each process that the bench starts for the engine. */
  watch(pid: number): void;
  remove(): void;
}

/** Opens accounts, in the best way that this machine permits. */
export interface Bookkeeper {
  /** For the report. */
  readonly how: string;
  open(name: string): Account;
  close(): void;
}

const TICKS = 100;

/** A control group for each engine if there can be one; else the trees of processes, from /proc. */
export function bookkeeper(): Bookkeeper {
  for (const [root, own, version] of controlGroupRoots()) {
    const folder = path.join(root, own, `kbuild-bench-${process.pid}`);
    try {
      fs.mkdirSync(folder);
    } catch {
      continue; // Not ours to write: the next way.
    }
    const members = path.join(root, own, "cgroup.procs");
    if (canMove(path.join(folder, "cgroup.procs"), members)) {
      return {
        how: `control groups, version ${version}`,
        open: (name) => controlGroup(path.join(folder, name), members, version),
        close: () => fs.rmdirSync(folder),
      };
    }
    fs.rmdirSync(folder);
  }
  return { how: "/proc (no control group can be made)", open: processTree, close: () => {} };
}

/** Whether processes may be moved into a group and back again. */
function canMove(there: string, back: string): boolean {
  try {
    fs.writeFileSync(there, `${process.pid}`);
    fs.writeFileSync(back, `${process.pid}`);
    return true;
  } catch {
    return false; // A group that may be made but not be entered.
  }
}

/** Where a group of our own could be: below the one that we are in, or at the top where that one is not to be seen. */
function controlGroupRoots(): readonly (readonly [string, string, 1 | 2])[] {
  const roots: (readonly [string, string, 1 | 2])[] = [];
  for (const line of fs.readFileSync("/proc/self/cgroup", "utf8").trim().split("\n")) {
    const [id, controllers = "", own = "/"] = line.split(":");
    if (controllers.split(",").includes("cpuacct")) {
      for (const at of [own, "/"]) roots.push(["/sys/fs/cgroup/cpuacct", at, 1]);
    } else if (id === "0" && fs.existsSync("/sys/fs/cgroup/cgroup.controllers")) {
      for (const at of [own, "/"]) roots.push(["/sys/fs/cgroup", at, 2]);
    }
  }
  return roots;
}

function controlGroup(folder: string, outside: string, version: 1 | 2): Account {
  fs.mkdirSync(folder);
  const members = path.join(folder, "cgroup.procs");
  const number = (file: string): number => Number(fs.readFileSync(path.join(folder, file), "utf8"));
  /** Processor time that the bench itself used while it was in the group. */
  let ownUser = 0;
  let ownSystem = 0;
  let entered = process.cpuUsage();
  return {
    // A child is born into the group of its parent, so the parent goes there: nothing has to be run before the command
    // that would be timed with it.
    enter() {
      fs.writeFileSync(members, `${process.pid}`);
      entered = process.cpuUsage();
    },
    leave() {
      const { user, system } = process.cpuUsage(entered);
      ownUser += user / 1e6;
      ownSystem += system / 1e6;
      fs.writeFileSync(outside, `${process.pid}`);
    },
    pids: () => numbers(fs.readFileSync(members, "utf8")).filter((pid) => pid !== process.pid),
    usage() {
      if (version === 1) {
        const [user, system] = [number("cpuacct.usage_user"), number("cpuacct.usage_sys")];
        return { user: user / 1e9 - ownUser, system: system / 1e9 - ownSystem };
      }
      const stat = fs.readFileSync(path.join(folder, "cpu.stat"), "utf8");
      const seconds = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(stat)?.[1] ?? 0) / 1e6;
      return { user: seconds("user_usec") - ownUser, system: seconds("system_usec") - ownSystem };
    },
    watch: () => {},
    remove() {
      // A group that still has members cannot be removed: whatever an engine left running ends here.
      for (let tries = 0; fs.existsSync(folder) && tries < 100; tries++) {
        for (const pid of this.pids()) kill(pid);
        try {
          fs.rmdirSync(folder);
        } catch {
          spawnSync("sleep", ["0.05"]);
        }
      }
    },
  };
}

/** Without control groups: descendants of what was started. Processor time is known of those that ended, or live now. */
function processTree(): Account {
  const roots = new Set<number>();
  const living = (): readonly number[] => {
    const parents = new Map<number, number>();
    for (const name of fs.readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const fields = statOf(Number(name));
      if (fields) parents.set(Number(name), Number(fields[1]));
    }
    const isOurs = (pid: number | undefined): boolean =>
      pid !== undefined && pid > 1 && (roots.has(pid) || isOurs(parents.get(pid)));
    return [...parents.keys()].filter(isOurs);
  };
  return {
    enter: () => {},
    leave: () => {},
    pids: living,
    usage() {
      // Fields 14 to 17 of proc(5): own time, and that of children waited for.
      const self = statOf(process.pid);
      let user = Number(self?.[13]);
      let system = Number(self?.[14]);
      for (const pid of living()) {
        const fields = statOf(pid);
        user += Number(fields?.[11] ?? 0) + Number(fields?.[13] ?? 0);
        system += Number(fields?.[12] ?? 0) + Number(fields?.[14] ?? 0);
      }
      return { user: user / TICKS, system: system / TICKS };
    },
    watch: (pid) => roots.add(pid),
    remove: () => {},
  };
}

/** The fields of /proc/PID/stat from the third on, since the second may have spaces in it. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // It has ended since its name was read.
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

function numbers(text: string): readonly number[] {
  return text.split("\n").filter(Boolean).map(Number);
}
