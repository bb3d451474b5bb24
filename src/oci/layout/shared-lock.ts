import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isHeld, type Lock, type LockOptions, lockedError, pause, takeLock } from "./lock.ts";
import { ownIdentity } from "./process.ts";

const WAIT = 20;

let counter = 0;

/**
 * Takes a lock that any number of holders share, each with a file of its own beside it. Whoever wants the lock alone
 * ({@link takeExclusively}) and came first goes first.
 * @throws KbuildError `machine.locked`, `machine.*` as {@link takeLock}; the reason of an aborted signal
 */
export async function takeShared(path: string, options: LockOptions = {}): Promise<Lock> {
  const gate = await takeLock(path, options);
  try {
    const { place, pid, started } = ownIdentity();
    return await takeLock(`${path}${SHARE}${place}-${pid}-${started}-${counter++}`, options);
  } finally {
    gate.release();
  }
}

/**
 * Takes a lock alone: waits until nobody has it, shared or alone. While it waits for those who share it nobody joins them.
 * @throws KbuildError `machine.locked`, `machine.*` as {@link takeLock}; the reason of an aborted signal
 */
export async function takeExclusively(path: string, options: LockOptions = {}): Promise<Lock> {
  const { patience, signal } = options;
  const deadline = patience === undefined ? undefined : Date.now() + patience;
  const lock = await takeLock(path, options);
  try {
    for (let sharer = sharerOf(path); sharer !== undefined; sharer = sharerOf(path)) {
      signal?.throwIfAborted();
      if (deadline !== undefined && Date.now() >= deadline) throw lockedError(sharer, patience ?? 0);
      await pause(WAIT);
    }
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

const SHARE = ".shared-";

/** The file of somebody who lives and shares the lock. */
function sharerOf(path: string): string | undefined {
  const folder = dirname(path);
  const prefix = `${basename(path)}${SHARE}`;
  // A mark of somebody who removes a dead one's file says nothing of the living.
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix) && !name.includes(".broken-"));
  return names.map((name) => join(folder, name)).find((each) => isHeld(each));
}
