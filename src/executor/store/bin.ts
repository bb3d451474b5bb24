import * as fs from "node:fs";
import type { NativeClient } from "../../native/client.ts";
import { errnoOf, explainFault } from "../../oci/layout/faults.ts";
import type { Store } from "../../oci/layout/store.ts";
import { readMachine } from "../../sandbox/machine.ts";
import { openSandbox } from "../../sandbox/open.ts";

/**
 * Takes things out of the store for good: each is first moved to `tmp/`, so that nobody finds it by halves, and then
 * removed. Trees whose files belong to mapped ids are removed by a core that has these ids, started when there is one.
 */
export class Bin {
  readonly #store: Store;
  readonly #signal: AbortSignal | undefined;
  readonly #openClient: () => Promise<NativeClient>;
  readonly #stubborn: string[] = [];

  constructor(store: Store, signal?: AbortSignal, openClient?: () => Promise<NativeClient>) {
    this.#store = store;
    this.#signal = signal;
    this.#openClient = openClient ?? (() => openRemover(store, signal));
  }

  /**
   * Takes a file or folder out of its place.
   *
   * @param isStillWanted asked once it is out of reach: whoever comes later does not find it. Then it is put back.
   * @returns where it was moved to; undefined when it is not there, or still wanted
   */
  take(path: string, isStillWanted: (moved: string) => boolean = () => false): string | undefined {
    const moved = this.#store.temporaryPath();
    try {
      fs.renameSync(path, moved);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw explainFault(error, { doing: `removing ${path}`, store: true });
    }
    if (isStillWanted(moved) && putBack(moved, path)) return undefined;
    this.remove(moved);
    return moved;
  }

  /** Removes what is in `tmp/` already. */
  remove(path: string): void {
    try {
      fs.rmSync(path, { recursive: true, force: true });
    } catch (error) {
      if (!["EACCES", "EPERM", "ENOTEMPTY"].includes(errnoOf(error) ?? "")) {
        throw explainFault(error, { doing: `removing ${path}`, store: true });
      }
      this.#stubborn.push(path);
    }
  }

  /**
   * Removes what this process could not by itself.
   * @returns what is still there, and why; undefined when nothing is
   */
  async empty(): Promise<{ readonly paths: readonly string[]; readonly reason: unknown } | undefined> {
    if (this.#stubborn.length === 0) return undefined;
    let client: NativeClient | undefined;
    try {
      client = await this.#openClient();
      await client.remove({ paths: this.#stubborn }, { signal: this.#signal });
      return undefined;
    } catch (reason) {
      if (this.#signal?.aborted) throw reason;
      return { paths: this.#stubborn.filter((path) => fs.existsSync(path)), reason };
    } finally {
      await client?.close();
    }
  }
}

/** Unless something new is in its place: then that is what is wanted, and this is not. */
function putBack(moved: string, path: string): boolean {
  try {
    // A file of the same name would be replaced; a link is not made where something is.
    if (fs.lstatSync(moved).isDirectory()) fs.renameSync(moved, path);
    else {
      fs.linkSync(moved, path);
      fs.rmSync(moved, { force: true });
    }
    return true;
  } catch (error) {
    if (["EEXIST", "ENOTEMPTY"].includes(errnoOf(error) ?? "")) return false;
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(errnoOf(error) ?? "")) {
      throw explainFault(error, { doing: `putting ${path} back`, store: true });
    }
    fs.renameSync(moved, path);
    return true;
  }
}

/** The best that there is: what belongs to mapped ids takes the mode that mapped them, and folders of one's own any. */
async function openRemover(store: Store, signal: AbortSignal | undefined): Promise<NativeClient> {
  return (await openSandbox(readMachine(), { temporary: store.temporaryFolder, signal })).client;
}
