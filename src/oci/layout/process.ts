import { readFileSync, readlinkSync } from "node:fs";
import { lazyBuiltin } from "../../lazy-builtin.ts";

/**
 * Who a process is, so that another one can tell later whether it still lives. A pid alone does not do: it is given out
 * again, and it means something else in another container.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, clock ticks from the start of the machine; "0" where there is no /proc. */
  readonly started: string;
  /** Where the pid has its meaning: this run of the machine and the pid namespace. No slash, no space, no dash. */
  readonly place: string;
}

const os = lazyBuiltin<typeof import("node:os")>("node:os");

let own: ProcessIdentity | undefined;

/** This process. Read once. */
export function ownIdentity(): ProcessIdentity {
  own ??= { pid: process.pid, started: startTime("self") ?? "0", place: place() };
  return own;
}

/** `gone` and `alive` are certain; `elsewhere` means that it cannot be seen from here. */
export function stateOf(identity: ProcessIdentity): "alive" | "gone" | "elsewhere" {
  if (identity.place !== ownIdentity().place) return "elsewhere";
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ESRCH";
    return missing ? "gone" : sameStart(identity);
  }
  return sameStart(identity);
}

function sameStart({ pid, started }: ProcessIdentity): "alive" | "gone" {
  const now = startTime(String(pid));
  return now === undefined || started === "0" || now === started ? "alive" : "gone";
}

/** Undefined where /proc is missing, or hides the process. A zombie has a start time but is gone. */
function startTime(pid: string): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in field 2 may hold anything, spaces and parentheses too: fields are counted from its last parenthesis.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? "dead" : fields[19];
  } catch {
    return undefined;
  }
}

/** The pid namespace's number is the same on every machine for the first one, so the boot's id goes with it. */
function place(): string {
  const boot = attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "latin1")) ?? os().hostname();
  const namespace = attempt(() => readlinkSync("/proc/self/ns/pid")) ?? "";
  return `${boot.replace(/[^0-9A-Za-z]/g, "")}.${namespace.replace(/[^0-9]/g, "")}`;
}

function attempt(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
