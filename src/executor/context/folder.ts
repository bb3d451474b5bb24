import { readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { identityOf } from "../../layers/identity.ts";
import { showPath } from "../../layers/path-bytes.ts";
import type { NativeClient } from "../../native/client.ts";
import type { ScanWarning } from "../../native/protocol.ts";
import { errnoOf } from "../../oci/layout/faults.ts";
import type { Store } from "../../oci/layout/store.ts";
import type { IgnoreLine } from "../../parser/ignore.ts";
import { ContextSource } from "../copy/context-source.ts";
import type { SourceTree } from "../copy/sources.ts";
import type { BuildContext } from "./build-context.ts";
import { readTextFile } from "./text-file.ts";

/** What a context of a folder works with. */
export interface FolderTools {
  readonly store: Store;
  readonly native: NativeClient;
  readonly signal: AbortSignal;
  readonly warn: (code: string, message: string) => void;
  /** Whether files whose times and size are known are read all the same: `--no-cache` trusts nothing. */
  readonly rereads: boolean;
}

/** A folder of this machine as a context. Nothing of it is read before it is asked for. */
export class FolderContext implements BuildContext {
  readonly identity: string;
  readonly #root: string;
  readonly #label: string;
  readonly #tools: FolderTools;

  /**
   * @param label what messages call it, for instance `the build context`
   * @param origin what tells it from others besides its path; for one that has another path after each change
   * @throws KbuildError `build.context` when it is not there or no folder
   */
  constructor(path: string, label: string, tools: FolderTools, origin?: string) {
    this.#root = rootOf(path, label);
    this.#label = label;
    this.#tools = tools;
    this.identity = origin === undefined ? identityOf("folder", this.#root) : identityOf("folder of", origin);
  }

  async readText(path: string): Promise<string | undefined> {
    return readTextFile(join(this.#root, path), path);
  }

  async names(): Promise<readonly string[]> {
    return readdirSync(this.#root).slice(0, 1000);
  }

  async files(ignore: readonly IgnoreLine[]): Promise<SourceTree> {
    const { store, native, signal, warn, rereads } = this.#tools;
    const statCache = join(store.root, "contexts", this.identity);
    if (rereads) rmSync(statCache, { force: true });
    const description = { label: this.#label, root: this.#root, ignore, statCache };
    return new ContextSource(description, native, signal, (warning) => warn("SpecialFile", leftOut(warning)));
  }

  dispose(): void {}
}

const SPECIAL = { socket: "a socket", fifo: "a named pipe", device: "a device" } as const;

function leftOut({ path, kind }: ScanWarning): string {
  return `${showPath(path)} is ${SPECIAL[kind]}, which cannot be in an image: it is left out`;
}

function rootOf(path: string, label: string): string {
  try {
    if (!statSync(path).isDirectory()) {
      throw new KbuildError("build.context", `${label} ${path} is not a folder`, {
        hint: "name the folder, and the Dockerfile with -f",
      });
    }
    return realpathSync(path);
  } catch (error) {
    if (error instanceof KbuildError) throw error;
    const reason = errnoOf(error) === "EACCES" ? "may not be read" : "does not exist";
    throw new KbuildError("build.context", `${label} ${path} ${reason}`, { cause: error });
  }
}
