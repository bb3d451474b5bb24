import { rmSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { Draft } from "../../layers/draft.ts";
import { type Entry, EntryType, encodeEntries } from "../../layers/entry-table.ts";
import { mapped } from "../../layers/sequence.ts";
import { Tree } from "../../layers/tree.ts";
import type { SandboxMount } from "../../native/sandbox-protocol.ts";
import { withLock } from "../../oci/layout/lock.ts";
import type { Sandbox } from "../../sandbox/open.ts";
import { copyInto } from "../copy/into.ts";
import type { SourceTree } from "../copy/sources.ts";
import type { Tools } from "../tools.ts";
import { type CacheMountUse, cacheMountKey, type Sharing, takeCacheMounts } from "./cache-mount.ts";
import type { MountSource } from "./mount-source.ts";
import { makeFolder } from "./roots.ts";
import type { Workshop } from "./worker.ts";

/** A mount of a step with all its words expanded and its source found. Targets are absolute and clean. */
export type StepMount =
  | { readonly kind: "bind"; readonly target: string; readonly writable: boolean; readonly source: MountSource }
  | {
      readonly kind: "cache";
      readonly target: string;
      readonly id: string;
      readonly sharing: Sharing;
      readonly readOnly: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      /** What a new one begins with. */
      readonly source: MountSource | undefined;
    }
  | { readonly kind: "tmpfs"; readonly target: string; readonly size: number | undefined }
  | {
      readonly kind: "file";
      readonly target: string;
      readonly content: Uint8Array;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly isSecret: boolean;
    }
  | {
      readonly kind: "socket";
      readonly target: string;
      /** Path of the socket on this machine. */
      readonly source: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** Mounts that are ready, and what has to be given back when the process has ended. */
export interface ReadyMounts {
  readonly mounts: readonly SandboxMount[];
  release(): Promise<void>;
}

/**
 * Makes what the mounts of a step need, in their order; deeper targets come after those that they are in. What others may
 * have comes first, and `onWait` is called with the id of each cache mount that is in use for a while.
 * @throws KbuildError `build.mount` for what this sandbox cannot do
 */
export async function readyMounts(
  tools: Tools,
  workshop: Workshop,
  wanted: readonly StepMount[],
  onWait: (id: string) => void,
): Promise<ReadyMounts> {
  const folders: string[] = [];
  const caches = await takeCaches(tools, workshop, wanted, onWait);
  const release = async (): Promise<void> => {
    for (const cache of caches.values()) await cache.release();
    if (folders.length > 0) await workshop.sandbox.client.remove({ paths: folders });
  };
  try {
    const ordered = [...wanted].sort((left, right) => depth(left.target) - depth(right.target));
    const mounts: SandboxMount[] = [];
    for (const mount of ordered) {
      mounts.push(await ready(tools, workshop, mount, folders, caches));
    }
    return { mounts, release };
  } catch (error) {
    await release();
    throw error;
  }
}

type CacheMount = Extract<StepMount, { readonly kind: "cache" }>;

async function takeCaches(
  { store, signal }: Tools,
  { sandbox }: Workshop,
  wanted: readonly StepMount[],
  onWait: (id: string) => void,
): Promise<ReadonlyMap<string, CacheMountUse>> {
  // Without mounts the folder itself is in the step's tree for a time: only one step has it, at one place.
  const isMoved = sandbox.mode === "chroot";
  const places = new Map<string, CacheMount>();
  const requests = wanted.flatMap((mount) => {
    if (mount.kind !== "cache") return [];
    const key = keyOf(mount, sandbox);
    const other = places.get(key);
    if (isMoved && other !== undefined) throw twice(mount, other);
    places.set(key, mount);
    const sharing: Sharing = isMoved && mount.sharing === "shared" ? "locked" : mount.sharing;
    return [{ key, id: mount.id, sharing }];
  });
  return takeCacheMounts(store, requests, { signal, onWait });
}

function keyOf({ id, mode, uid, gid, source }: CacheMount, sandbox: Sandbox): string {
  return cacheMountKey(id, { mode, uid, gid, content: source?.content }, sandbox);
}

function twice({ id, target }: CacheMount, other: CacheMount): KbuildError {
  return new KbuildError(
    "build.mount",
    `the cache mount ${id} cannot be at ${other.target} and at ${target} in one step: nothing can be mounted here`,
    { hint: "give one of them another id; kbuild doctor says why nothing can be mounted" },
  );
}

function depth(target: string): number {
  return target.split("/").length;
}

async function ready(
  tools: Tools,
  workshop: Workshop,
  mount: StepMount,
  folders: string[],
  caches: ReadonlyMap<string, CacheMountUse>,
): Promise<SandboxMount> {
  switch (mount.kind) {
    case "bind": {
      const scratch = makeFolder(tools);
      folders.push(scratch);
      const { target, writable } = mount;
      return { kind: "view", target, writable, scratch, ...(await layersOf(tools, workshop, mount.source, folders)) };
    }
    case "cache": {
      const { target, readOnly } = mount;
      const cache = caches.get(keyOf(mount, workshop.sandbox));
      if (cache === undefined) throw new KbuildError("internal.mount", "a cache mount that was not taken");
      await begin(tools, workshop, mount, cache);
      return { kind: "bind", source: cache.path, target, readOnly };
    }
    case "tmpfs":
      return {
        kind: "tmpfs",
        target: mount.target,
        mode: 0o1777,
        ...(mount.size === undefined ? {} : { size: mount.size }),
      };
    case "file": {
      const { target, content, mode, uid, gid, isSecret } = mount;
      const text = Buffer.from(content).toString("base64");
      return { kind: "file", target, content: text, mode, uid, gid, readOnly: isSecret };
    }
    case "socket": {
      const { target, source, mode, uid, gid } = mount;
      return { kind: "socket", target, source, mode, uid, gid };
    }
  }
}

/** Unpacked layers that have a source, and its path in them. */
async function layersOf(
  tools: Tools,
  workshop: Workshop,
  source: MountSource,
  folders: string[],
): Promise<{ readonly lower: readonly string[]; readonly path: string }> {
  if (source.snapshot !== undefined && workshop.trees !== undefined) {
    return { lower: await workshop.trees.all(source.snapshot.layers), path: source.match.entry.path };
  }
  const output = tools.store.temporaryPath();
  folders.push(output);
  await layOut(tools, workshop, source, output);
  return { lower: [output], path: source.match.entry.type === EntryType.directory ? "" : FILE };
}

/** What a source that is a file is called where it is laid out. */
const FILE = "file";

/** Writes a source into a folder: a folder's content, or the file. */
async function layOut(tools: Tools, workshop: Workshop, source: MountSource, output: string): Promise<void> {
  const { tree, match } = source;
  const isFolder = match.entry.type === EntryType.directory;
  const draft = new Draft(new Tree([]));
  const destination = { path: isFolder ? "" : FILE, isFolder };
  const now = tools.clock.mtime();
  const asItIs = { owner: undefined, mode: undefined, folderMode: 0o755, now, exclude: undefined, parents: false };
  copyInto(draft, match, destination, asItIs);
  const root = isFolder && match.entry.path !== "" ? [{ ...match.entry, path: "" }] : [];
  await writeTree(tools, workshop, tree, [...root, ...mapped(draft.items(), ({ entry }) => entry)], output);
}

/**
 * Makes a folder with these files, the first of which may be the folder itself. By way of a layer: that way owners and
 * devices come out as the sandbox keeps them.
 */
async function writeTree(
  tools: Tools,
  workshop: Workshop,
  sources: Pick<SourceTree, "roots" | "blobs">,
  entries: readonly Entry[],
  output: string,
): Promise<void> {
  const { store, signal } = tools;
  const path = store.temporaryPath();
  const index = store.temporaryPath();
  const { client, owners } = workshop.sandbox;
  try {
    await client.pack(
      {
        output: { path },
        index,
        compression: { kind: "none", level: 0 },
        roots: sources.roots,
        blobs: sources.blobs,
        purpose: "layer",
        temporary: store.temporaryFolder,
      },
      encodeEntries(entries),
      { signal },
    );
    const blob = { path, compression: "none" } as const;
    await client.unpack({ blob, index, output, form: "layer", owners }, { signal });
  } finally {
    for (const each of [path, index]) rmSync(each, { force: true });
  }
}

/** Makes the folder of a cache mount when there is none yet. */
async function begin(tools: Tools, workshop: Workshop, mount: CacheMount, use: CacheMountUse): Promise<void> {
  const { store } = tools;
  const { id, mode, uid, gid, source } = mount;
  const fill = (output: string): Promise<void> => {
    if (source !== undefined) return layOut(tools, workshop, source, output);
    const folder = rootFolder(mode, uid, gid, tools);
    return writeTree(tools, workshop, { roots: [], blobs: [] }, [folder], output);
  };
  await withLock(store.lockPath(`${use.lockName}-making`), () =>
    use.make(id, fill, (from, to) => workshop.sandbox.client.move({ from, to })),
  );
}

function rootFolder(mode: number, uid: number, gid: number, tools: Tools): Entry {
  return {
    path: "",
    type: EntryType.directory,
    mode,
    uid,
    gid,
    size: 0,
    mtime: tools.clock.mtime(),
    link: "",
    xattrs: [],
    digest: undefined,
    inodeGroup: 0,
    source: { kind: "none" },
  };
}
