import * as fs from "node:fs";
import { KbuildError } from "../../errors.ts";
import { errnoOf, explainFault } from "./faults.ts";
import { ownIdentity, type ProcessIdentity, stateOf } from "./process.ts";

/** How long a lock is waited for, and how it is kept. Milliseconds. */
export interface LockOptions {
  /** After this, `machine.locked`. */
  readonly patience?: number;
  /** A lock of a process that cannot be seen from here (another container or machine) is dead after this silence. */
  readonly silence?: number;
  /** Ends the waiting, with its reason. */
  readonly signal?: AbortSignal;
}

const PATIENCE = 30_000;
const SILENCE = 30_000;
const HEARTBEAT = 5_000;
/** A breaker does three system calls between making its mark and removing it; a mark this old was left by a kill. */
const BREAKING = 5_000;

/** A lock that is held. {@link release} it in a `finally`. */
export interface Lock {
  release(): void;
}

/**
 * Takes a lock: a file that is created whole, with the name of its holder in it, by a link that fails when it is there.
 * Locks of dead processes are broken: at once if the holder was in this pid namespace, else when the file has not been
 * touched for `silence` (a holder touches it every 5 s).
 *
 * Promises mutual exclusion between processes that share the folder, whether or not they share a pid namespace, and
 * between calls in one process. Not promised: order among those that wait.
 *
 * @param path the lock's file; its folder must be there
 * @throws KbuildError `machine.locked` when it is still held after `patience`; `machine.*` when it cannot be written; the
 *   reason of an aborted signal
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const { patience = PATIENCE, silence = SILENCE, signal } = options;
  const deadline = Date.now() + patience;
  for (let round = 0; ; round++) {
    signal?.throwIfAborted();
    const token = attempt(path);
    if (token !== undefined) return held(path, token);
    if (breakIfDead(path, silence)) continue;
    if (Date.now() >= deadline) throw lockedError(path, patience);
    await pause(Math.min(2 + round, 20) * (0.5 + Math.random()));
  }
}

/** Runs `action` while holding the lock. */
export async function withLock<T>(path: string, action: () => T | Promise<T>, options?: LockOptions): Promise<T> {
  const lock = await takeLock(path, options);
  try {
    return await action();
  } finally {
    lock.release();
  }
}

/** Whether somebody who lives has the lock; that of a dead process is broken. */
export function isHeld(path: string): boolean {
  return ageOf(path) !== undefined && !breakIfDead(path, SILENCE);
}

interface Holder extends ProcessIdentity {
  /** Different for each time that a lock is taken. */
  readonly token: string;
}

let counter = 0;

/** Creates the lock's file; undefined if it is there. */
function attempt(path: string): string | undefined {
  const identity = ownIdentity();
  const token = `${identity.place}-${identity.pid}-${identity.started}-${counter++}`;
  const content = JSON.stringify({ ...identity, token } satisfies Holder);
  const draft = `${path}.${token}`;
  try {
    fs.writeFileSync(draft, content, { flag: "wx" });
    try {
      fs.linkSync(draft, path);
    } catch (error) {
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(errnoOf(error) ?? "")) throw error;
      // A file system without hard links: the file is empty for a moment, which readers take for a live lock.
      fs.writeFileSync(path, content, { flag: "wx" });
    }
    return token;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return undefined;
    throw explainFault(error, { doing: `taking the lock ${path}`, store: true });
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

function held(path: string, token: string): Lock {
  const heart = setInterval(() => {
    try {
      const now = new Date();
      fs.utimesSync(path, now, now);
    } catch {
      // The folder is gone or read-only now: whoever works under the lock will notice by itself.
    }
  }, HEARTBEAT);
  heart.unref();
  return {
    release() {
      clearInterval(heart);
      // If we were thought dead (stopped for half a minute), the file is another's by now.
      if (readHolder(path)?.token === token) fs.rmSync(path, { force: true });
    },
  };
}

/**
 * Removes the lock if its holder is dead. Two who find the same dead lock must not remove two locks: the second one may
 * be a live one by then. So a lock is removed only by who made the mark with its token, and only if it still has it.
 *
 * @returns whether it is worth trying again at once
 */
function breakIfDead(path: string, silence: number): boolean {
  const holder = readHolder(path);
  const age = ageOf(path);
  if (age === undefined) return true;
  if (holder === undefined) {
    if (age < silence) return false;
  } else {
    const state = stateOf(holder);
    if (state === "alive" || (state === "elsewhere" && age < silence)) return false;
  }
  const mark = `${path}.broken-${holder?.token ?? "unreadable"}`;
  try {
    fs.writeFileSync(mark, "", { flag: "wx" });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw explainFault(error, { doing: `breaking the lock ${path}`, store: true });
    if ((ageOf(mark) ?? 0) > BREAKING) fs.rmSync(mark, { force: true });
    return false;
  }
  try {
    if (readHolder(path)?.token === holder?.token) fs.rmSync(path, { force: true });
  } finally {
    fs.rmSync(mark, { force: true });
  }
  return true;
}

/** Milliseconds since the file was last touched; undefined if it is not there. */
function ageOf(path: string): number | undefined {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : Date.now() - stat.mtimeMs;
}

/** Undefined when there is no lock, or none that can be read (yet). */
function readHolder(path: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(fs.readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const { pid, started, place, token } = value as Partial<Record<keyof Holder, unknown>>;
    if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
    if (typeof started !== "string" || typeof place !== "string" || typeof token !== "string") return undefined;
    if (!/^[\w.-]{1,200}$/.test(token)) return undefined;
    return { pid, started, place, token };
  } catch {
    return undefined;
  }
}

/** What is thrown when a lock was waited for in vain; milliseconds. */
export function lockedError(path: string, patience: number): KbuildError {
  const holder = readHolder(path);
  const who = holder === undefined ? "another process" : `process ${holder.pid}`;
  return new KbuildError("machine.locked", `${path} has been held by ${who} for ${Math.round(patience / 1000)} s`, {
    hint: "Wait for the other kbuild to end, or stop it",
  });
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
