import * as fs from "node:fs";

/** A process of the machine, those in containers included. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Its command line, with spaces. */
  readonly words: string;
}

/** All that run now. */
export function processes(): Process[] {
  return fs.readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const stat = read(`/proc/${name}/stat`);
    if (stat === undefined) return [];
    // The second field may have spaces and parentheses in it.
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // One that has ended, and whose parent was not told yet, is none any more.
    if (state === "Z" || state === "X") return [];
    const words = (read(`/proc/${name}/cmdline`) ?? "").replaceAll("\0", " ");
    return [{ pid: Number(name), parent: Number(parent), words }];
  });
}

/** Those below one, at any depth. */
export function descendants(pid: number, all = processes()): Process[] {
  return all.filter(({ parent }) => parent === pid).flatMap((child) => [child, ...descendants(child.pid, all)]);
}

/** Those whose program, or whose environment, names a folder. */
export function processesOf(folder: string): Process[] {
  return processes().filter(({ pid }) => {
    if (pid === process.pid) return false;
    return programOf(pid).includes(folder) || (read(`/proc/${pid}/environ`) ?? "").includes(folder);
  });
}

/** Mounts in any namespace of the machine whose line names a folder. */
export function mountsOf(folder: string): string[] {
  const lines = processes().flatMap(({ pid }) => (read(`/proc/${pid}/mountinfo`) ?? "").split("\n"));
  return [...new Set(lines.filter((line) => line.includes(folder)))];
}

function programOf(pid: number): string {
  try {
    return fs.readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return ""; // It has ended, or belongs to the kernel.
  }
}

function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, "latin1");
  } catch {
    return undefined; // It has ended since its name was read.
  }
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits for a condition. Throws when it does not come true in time. */
export async function until(what: string, condition: () => boolean, milliseconds: number): Promise<void> {
  for (const deadline = Date.now() + milliseconds; !condition(); await pause(20)) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${milliseconds / 1000} s`);
  }
}
