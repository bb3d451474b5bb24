import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Entry, EntryType, encodeEntries } from "../layers/entry-table.ts";
import type { BlobSource } from "../native/protocol.ts";
import type { Snapshot } from "./state.ts";
import type { Tools } from "./tools.ts";

/** Files that kbuild itself looks into (/etc/passwd, /etc/group) are small; a larger one is not read. */
const LARGEST_FILE = 4 * 1024 * 1024;
/** Characters; a longer one is found in its layer again by the next build. */
const LARGEST_KEPT = 64 * 1024;

/**
 * The text of a small file of a snapshot, links followed inside its tree; undefined when it is not there, is no
 * regular file or is larger than 4 MiB.
 */
export async function readFile(tools: Tools, snapshot: Snapshot, path: string): Promise<string | undefined> {
  const tree = await tools.pool.tree(snapshot);
  const resolution = tree.resolve(path, true);
  if (resolution.kind !== "found") return undefined;
  const { entry, layer } = tree.content(resolution.located);
  const reference = snapshot.layers[layer];
  if (entry.type !== EntryType.file || entry.size > LARGEST_FILE || reference === undefined) return undefined;
  // Each RUN looks up its user, and hardly any changes /etc/passwd.
  const digest = entry.digest === undefined ? undefined : Buffer.from(entry.digest).toString("hex");
  const known = digest === undefined ? undefined : (tools.texts.get(digest) ?? tools.cache.text(digest));
  const text = known ?? (await extractText(await withCore(tools), entry, await tools.pool.source(reference)));
  if (digest !== undefined) {
    tools.texts.set(digest, text);
    if (known === undefined && text.length <= LARGEST_KEPT) tools.cache.putText(digest, text);
  }
  return text;
}

async function withCore({ store, native, worker, signal }: Tools): Promise<Pick<Tools, "store" | "native" | "signal">> {
  return { store, native: (await worker.core()) ?? native, signal };
}

/** The text of a regular file whose bytes are in a tar. */
export function extractText(
  tools: Pick<Tools, "store" | "native" | "signal">,
  entry: Entry,
  blob: BlobSource,
): Promise<string> {
  return withExtracted(tools, entry, { roots: [], blobs: [blob] }, async (path) => readFileSync(path, "utf8"));
}

/**
 * Lays a regular file out in the store's temporary folder for as long as something works with it. Its source, in a tar or
 * below a folder, is the first of its kind. What has changed since its digest was computed is refused.
 */
export async function withExtracted<T>(
  tools: Pick<Tools, "store" | "native" | "signal">,
  entry: Entry,
  from: { readonly roots: readonly string[]; readonly blobs: readonly BlobSource[] },
  work: (path: string) => Promise<T>,
): Promise<T> {
  const folder = tools.store.temporaryPath();
  try {
    const source = firstOfItsKind(entry.source);
    await tools.native.extract(
      { output: folder, ...from, temporary: tools.store.temporaryFolder },
      encodeEntries([{ ...entry, path: "file", mode: 0o600, uid: 0, gid: 0, xattrs: [], source }]),
      { signal: tools.signal },
    );
    return await work(join(folder, "file"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function firstOfItsKind(source: Entry["source"]): Entry["source"] {
  if (source.kind === "blob") return { ...source, blob: 0 };
  return source.kind === "file" ? { ...source, root: 0 } : source;
}
