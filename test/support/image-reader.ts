/**
 * Reads a finished image the way another tool would: blobs of an OCI layout, layers applied one upon the other. It
 * shares no code with what it judges: the tar reader is tar-stream, inflating is zlib's.
 */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import * as tar from "tar-stream";

export interface TreeEntry {
  readonly type: "file" | "dir" | "symlink" | "char" | "block" | "fifo";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly size?: number;
  readonly sha256?: string;
  /** The content, when it is UTF-8 and not long. */
  readonly text?: string;
  readonly link?: string;
  /** The same object for every name of one inode. */
  readonly inode: object;
}

export interface ReadImage {
  readonly manifest: {
    readonly mediaType?: string;
    readonly config: BlobReference;
    readonly layers: readonly BlobReference[];
  };
  readonly config: ReadConfig;
  /** The final tree: path without a leading slash -> entry. The root itself is "". */
  readonly tree: ReadonlyMap<string, TreeEntry>;
}

export interface BlobReference {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface ReadConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
  readonly history?: readonly {
    readonly created?: string;
    readonly created_by?: string;
    readonly comment?: string;
    readonly empty_layer?: boolean;
  }[];
}

/** Path of a blob in an OCI layout. */
export function blobPath(layout: string, digest: string): string {
  const [algorithm, hex] = digest.split(":");
  return path.join(layout, "blobs", algorithm ?? "", hex ?? "");
}

/** A blob's bytes; throws when they are not what their digest says. */
export function readBlob(layout: string, digest: string): Buffer {
  const bytes = fs.readFileSync(blobPath(layout, digest));
  const found = `sha256:${crypto.createHash("sha256").update(bytes).digest("hex")}`;
  if (found !== digest) throw new Error(`blob ${digest} holds the bytes of ${found}`);
  return bytes;
}

/** Reads the image of a manifest's digest, checking every digest and size on the way. */
export async function readImage(layout: string, digest: string): Promise<ReadImage> {
  const manifest = JSON.parse(readBlob(layout, digest).toString()) as ReadImage["manifest"];
  const config = JSON.parse(readBlob(layout, manifest.config.digest).toString()) as ReadConfig;
  if (manifest.layers.length !== config.rootfs.diff_ids.length) {
    throw new Error(`${manifest.layers.length} layers, but ${config.rootfs.diff_ids.length} diff IDs`);
  }
  const tree = new Map<string, TreeEntry>();
  for (const [number, layer] of manifest.layers.entries()) {
    const bytes = readBlob(layout, layer.digest);
    if (bytes.length !== layer.size) throw new Error(`${layer.digest}: ${bytes.length} bytes instead of ${layer.size}`);
    const plain = inflate(bytes);
    const diffId = `sha256:${crypto.createHash("sha256").update(plain).digest("hex")}`;
    if (diffId !== config.rootfs.diff_ids[number]) {
      throw new Error(`layer ${number}: diff ID ${config.rootfs.diff_ids[number]}, but its tar has ${diffId}`);
    }
    await applyLayer(tree, plain);
  }
  return { manifest, config, tree };
}

function inflate(bytes: Buffer): Buffer {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return zlib.gunzipSync(bytes);
  return bytes;
}

/** OCI image-spec layer.md, "Applying Changesets". */
export async function applyLayer(tree: Map<string, TreeEntry>, bytes: Uint8Array): Promise<void> {
  const mine = new Set<string>();
  const extract = tar.extract();
  const removeBelow = (prefix: string, keepMine: boolean): void => {
    for (const name of [...tree.keys()]) {
      if (name.startsWith(prefix) && !(keepMine && mine.has(name))) tree.delete(name);
    }
  };
  extract.on("entry", (header, stream, next) => {
    const parts: Buffer[] = [];
    stream.on("data", (part) => parts.push(part as Buffer));
    stream.on("error", next);
    stream.on("end", () => {
      try {
        place(header, Buffer.concat(parts));
        next();
      } catch (error) {
        next(error as Error);
      }
    });
  });

  const place = (header: tar.Header, content: Buffer): void => {
    if (header.name.startsWith("/") || header.name.split("/").includes("..")) {
      throw new Error(`a layer's path leaves the root: ${header.name}`);
    }
    const name = header.name
      .replace(/^(\.\/)+/, "")
      .replace(/\/+$/, "")
      .replace(/^\.$/, "");
    const base = path.posix.basename(name);
    const parent = path.posix.dirname(name) === "." ? "" : path.posix.dirname(name);
    const below = parent === "" ? "" : `${parent}/`;
    if (base === ".wh..wh..opq") {
      removeBelow(below, true);
      return;
    }
    if (base.startsWith(".wh.")) {
      const hidden = below + base.slice(4);
      if (!mine.has(hidden)) {
        tree.delete(hidden);
        removeBelow(`${hidden}/`, true);
      }
      return;
    }
    if (mine.has(name) && header.type !== "directory") throw new Error(`a layer names ${name} twice`);
    if (name !== "") {
      for (let up = parent; up !== ""; up = path.posix.dirname(up) === "." ? "" : path.posix.dirname(up)) {
        const found = tree.get(up);
        if (found && found.type !== "dir") throw new Error(`a layer puts ${name} below ${up}, a ${found.type}`);
      }
    }
    if (header.type !== "directory") removeBelow(`${name}/`, false);
    mine.add(name);
    const common = {
      mode: (header.mode ?? 0) & 0o7777,
      uid: header.uid ?? 0,
      gid: header.gid ?? 0,
      mtime: Math.floor((header.mtime?.getTime() ?? 0) / 1000),
    };
    switch (header.type) {
      case "directory":
        tree.set(name, { type: "dir", ...common, inode: {} });
        return;
      case "symlink":
        tree.set(name, { type: "symlink", ...common, link: header.linkname ?? "", inode: {} });
        return;
      case "link": {
        const target = (header.linkname ?? "").replace(/^\.?\/+/, "");
        const found = tree.get(target);
        if (!found) throw new Error(`${name} is a hard link to ${target}, which is nowhere`);
        tree.set(name, found);
        return;
      }
      case "file":
      case "contiguous-file":
        tree.set(name, {
          type: "file",
          ...common,
          size: content.length,
          sha256: crypto.createHash("sha256").update(content).digest("hex"),
          ...(content.length <= 4096 ? { text: content.toString() } : {}),
          inode: {},
        });
        return;
      case "character-device":
      case "block-device":
      case "fifo":
        tree.set(name, {
          type: header.type === "fifo" ? "fifo" : header.type === "block-device" ? "block" : "char",
          ...common,
          inode: {},
        });
        return;
      default:
        throw new Error(`${name} has a type that no layer should have: ${header.type}`);
    }
  };

  await pipeline([bytes], extract);
}

/** Groups of paths that are one inode, each sorted, those of a single path left out. */
export function hardLinks(tree: ReadonlyMap<string, TreeEntry>): string[][] {
  const groups = new Map<object, string[]>();
  for (const [name, entry] of tree) {
    if (entry.type !== "file") continue;
    const group = groups.get(entry.inode);
    if (group) group.push(name);
    else groups.set(entry.inode, [name]);
  }
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => group.sort())
    .sort();
}

/** The manifest's digest that a layout's index.json has for a name; undefined when it has none. */
export function digestOf(layout: string, name: string): string | undefined {
  const index = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8")) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
  return index.manifests.find((entry) => Object.values(entry.annotations ?? {}).includes(name))?.digest;
}
