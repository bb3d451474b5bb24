import * as fs from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { KbuildError } from "../../errors.ts";
import { digestOf, encodeJson, hexOf } from "../digest.ts";
import { parseReference, type Reference, repositoryName } from "../reference.ts";
import { MAX_JSON, parseConfig, parseIndex, parseManifest } from "../shape.ts";
import {
  type Descriptor,
  type DiffId,
  type Digest,
  type ImageConfig,
  type ImageIndex,
  type Manifest,
  MediaType,
} from "../types.ts";
import { Blobs } from "./blobs.ts";
import { errnoOf, storeFault } from "./faults.ts";
import { markUsed } from "./last-use.ts";
import { withLock } from "./lock.ts";
import { makeFolder } from "./make-folder.ts";
import { type NamedImage, namedImages, withNames, withoutImage, withoutNames } from "./names.ts";
import { ownIdentity } from "./process.ts";

/** What this kbuild writes. A store with a higher number is left alone. */
const VERSION = 1;

const FOLDERS = ["blobs/sha256", "cache", "layers", "contexts", "containers", "locks", "tmp"];

/** Some 100,000 images: far more than anybody lists, and still read in a second. */
const MAX_INDEX = 64 * 1024 * 1024;

/**
 * Where the store is: `$KBUILD_ROOT`, `$XDG_DATA_HOME/kbuild`, `~/.local/share/kbuild`.
 *
 * @throws KbuildError `machine.noHome` when none of the three can be told
 */
export function defaultRoot(env: Readonly<Record<string, string | undefined>>): string {
  if (env.KBUILD_ROOT) return resolve(env.KBUILD_ROOT);
  // The XDG base directory specification says that a relative path is to be ignored.
  if (env.XDG_DATA_HOME && isAbsolute(env.XDG_DATA_HOME)) return join(env.XDG_DATA_HOME, "kbuild");
  if (env.HOME && isAbsolute(env.HOME)) return join(env.HOME, ".local", "share", "kbuild");
  throw new KbuildError("machine.noHome", "kbuild has nowhere to keep its images: HOME is not set", {
    hint: "Set KBUILD_ROOT to a folder that can be written",
  });
}

/**
 * Opens the store at `root`: one small file is read, no folder is listed.
 *
 * @param options.create makes a store where there is none (or a half-made one). Otherwise a missing store is an empty
 *   one: everything can be asked for and nothing is found.
 * @throws KbuildError `machine.storeVersion` when a later kbuild made it; `machine.storeNotWritable`, `machine.readOnly`,
 *   `machine.diskFull` when it cannot be made
 */
export function openStore(root: string, options: { readonly create: boolean }): Store {
  const versionFile = join(root, "kbuild-store.json");
  let text: string | undefined;
  try {
    text = fs.readFileSync(versionFile, "utf8");
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw storeFault(error, versionFile);
  }
  if (text !== undefined) {
    checkVersion(text, root);
    checkLayoutVersion(root);
  } else if (options.create) createStore(root);
  return new Store(root);
}

/**
 * kbuild's images on disk: an OCI image layout that any tool can open (OCI image-spec image-layout.md), with folders
 * beside it for what is kbuild's own. Any number of processes use it at the same time.
 *
 * What survives a loss of power: index.json is flushed before it takes its place, so names are never lost by halves.
 * Blobs are not flushed (that would cost more than the whole of a small build): after a crash one may have lost its end.
 * It then has another size, and counts as missing: {@link hasBlob}. What survives a kill: everything, as files only
 * arrive by rename; what is left in `tmp/` is removed by {@link sweepTemporary}.
 */
export class Store {
  readonly root: string;
  /** For files that will be renamed into their place: on the same file system. */
  readonly temporaryFolder: string;
  readonly blobs: Blobs;
  #index: { readonly stamp: string; readonly value: ImageIndex } | undefined;
  #temporaries = 0;

  /** For {@link openStore}; does not look whether anything is there. */
  constructor(root: string) {
    this.root = root;
    this.temporaryFolder = join(root, "tmp");
    this.blobs = new Blobs(root, "machine.storeDamaged");
  }

  // ---------------------------------------------------------------- places

  blobPath(digest: Digest): string {
    return this.blobs.path(digest);
  }

  /** The folder for what kbuild knows of a layer: its index, its unpacked tree, its size. Need not be there. */
  layerPath(diffId: DiffId): string {
    return join(this.root, "layers", hexOf(diffId));
  }

  /** The file for a lock of this name, for `takeLock`. */
  lockPath(name: string): string {
    return join(this.root, "locks", name);
  }

  /**
   * A path in `tmp/` that nothing else has. It carries the name of this process, so that what is left after a kill can
   * be told from what is in use.
   */
  temporaryPath(suffix = ""): string {
    const { place, pid, started } = ownIdentity();
    return join(this.temporaryFolder, `${place}-${pid}-${started}-${this.#temporaries++}${uniqueWord()}${suffix}`);
  }

  // ---------------------------------------------------------------- blobs

  /** Whether the blob is there with exactly its size; its bytes are not read. */
  hasBlob(descriptor: Pick<Descriptor, "digest" | "size">): boolean {
    return this.blobs.has(descriptor);
  }

  /** The same, for whoever is going to need the blob: it is not pruned while his build runs. */
  useBlob(descriptor: Pick<Descriptor, "digest" | "size">): boolean {
    return this.hasBlob(descriptor) && markUsed(this.blobPath(descriptor.digest));
  }

  /**
   * The blob's bytes, verified.
   *
   * @throws KbuildError `machine.storeDamaged` when it is missing, larger than `limit`, or not what its digest says
   */
  readBlob(digest: Digest, limit?: number): Buffer {
    return this.blobs.read(digest, limit);
  }

  readManifest(descriptor: Pick<Descriptor, "digest">): Manifest {
    return parseManifest(this.readBlob(descriptor.digest, MAX_JSON), (reason) =>
      this.blobs.complain(`the manifest ${descriptor.digest} in ${this.root}: ${reason}`),
    );
  }

  readConfig(manifest: Pick<Manifest, "config">): ImageConfig {
    const { digest } = manifest.config;
    return parseConfig(this.readBlob(digest, MAX_JSON), (reason) =>
      this.blobs.complain(`the config ${digest} in ${this.root}: ${reason}`),
    );
  }

  /** Puts bytes into the store; does nothing when they are there. */
  writeBlob(bytes: Uint8Array, mediaType: string): Descriptor {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    if (this.useBlob(descriptor)) return descriptor;
    const temporary = this.temporaryPath();
    this.#writing(temporary, () => {
      fs.writeFileSync(temporary, bytes, { flag: "wx" });
      fs.renameSync(temporary, this.blobPath(descriptor.digest));
    });
    return descriptor;
  }

  /**
   * Takes a finished file of `tmp/` in as a blob. That its bytes have this digest is the caller's word; the size is
   * checked. The temporary file is gone afterwards in any case.
   *
   * @throws KbuildError `internal.blobSize` when the size is not the file's
   */
  adoptBlob(temporary: string, digest: Digest, size: number): void {
    this.#writing(temporary, () => {
      const actual = fs.statSync(temporary).size;
      if (actual !== size) {
        throw new KbuildError("internal.blobSize", `the blob ${digest} should have ${size} bytes, but has ${actual}`);
      }
      // Also over one that is there: the bytes are the same, unless a crash spoiled the old ones.
      fs.renameSync(temporary, this.blobPath(digest));
    });
  }

  #writing(temporary: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      fs.rmSync(temporary, { force: true });
      throw error instanceof KbuildError ? error : storeFault(error, this.root);
    }
  }

  // ---------------------------------------------------------------- names

  /** Every image with each of its names, in the order in which they came. Those that lost their name have none. */
  list(): NamedImage[] {
    return namedImages(this.#readIndex());
  }

  /** The image with exactly this name. With a digest in the reference, the image with that digest in that repository. */
  find(reference: Reference): Descriptor | undefined {
    const repository = repositoryName(reference);
    const same = (image: NamedImage): boolean => {
      if (image.reference === undefined || repositoryName(image.reference) !== repository) return false;
      if (reference.digest !== undefined) return image.descriptor.digest === reference.digest;
      return image.reference.tag === reference.tag;
    };
    return this.list().find(same)?.descriptor;
  }

  /**
   * What docker's commands take for an image: a name (`web-ping:v2`), an image ID (`sha256:…`, or any beginning of its
   * digits that only one image has), or the digest of a manifest. A name comes before an ID that looks like it.
   *
   * @throws KbuildError `usage.reference` when it is neither a name nor an ID; `usage.ambiguous` when several images
   *   have an ID that begins so
   */
  resolve(name: string): Descriptor | undefined {
    const digits = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(name)?.[1];
    const isName = !name.startsWith("sha256:") && digits?.length !== 64;
    if (isName || digits === undefined) {
      const found = this.find(parseReference(name));
      if (found !== undefined || digits === undefined) return found;
    }
    return this.#findById(digits, name);
  }

  #findById(digits: string, name: string): Descriptor | undefined {
    // By image ID: several manifests of one config are one image, compressed differently.
    const found = new Map<string, Descriptor>();
    for (const { descriptor } of this.list()) {
      const id = this.#imageId(descriptor) ?? descriptor.digest;
      if (![id, descriptor.digest].some((digest) => hexOf(digest).startsWith(digits))) continue;
      if (!found.has(id)) found.set(id, descriptor);
    }
    if (found.size > 1) {
      throw new KbuildError("usage.ambiguous", `${name} is the beginning of ${found.size} image IDs`, {
        hint: "Write more of its digits",
      });
    }
    return found.values().next().value;
  }

  /** Undefined for what is no image of one platform, or cannot be read. */
  #imageId(descriptor: Descriptor): Digest | undefined {
    try {
      return this.readManifest(descriptor).config.digest;
    } catch {
      return undefined;
    }
  }

  /**
   * Gives names to an image, taking them from whoever had them; an image that loses its last name so stays listed. With
   * no references, lists the image without a name. Writes nothing, and takes no lock, when all is so already.
   */
  async tag(references: readonly Reference[], descriptor: Descriptor): Promise<void> {
    await this.#update((index) => withNames(index, references, descriptor));
  }

  /** Takes names away; an image that loses its last name so stays listed. Names that are not there are passed over. */
  async untag(references: readonly Reference[]): Promise<void> {
    await this.#update((index) => withoutNames(index, references));
  }

  /**
   * Takes names away from an image, and takes it out of the list when it has no other left. Its blobs stay until they
   * are pruned, as other images and the cache may have them too.
   *
   * @returns whether the image is gone from the list
   */
  async remove(digest: Digest, references: readonly Reference[]): Promise<boolean> {
    await this.#update((index) => withoutImage(index, digest, references));
    return !this.list().some(({ descriptor }) => descriptor.digest === digest);
  }

  /** Reads, changes and replaces index.json; of several processes, one at a time. */
  async #update(change: (index: ImageIndex) => ImageIndex): Promise<void> {
    const before = this.#readIndex();
    if (change(before) === before) return;
    await withLock(this.lockPath("index"), () => {
      const current = this.#readIndex();
      const changed = change(current);
      if (changed !== current) this.#writeIndex(changed);
    });
  }

  #indexPath(): string {
    return join(this.root, "index.json");
  }

  #readIndex(): ImageIndex {
    const path = this.#indexPath();
    let bytes: Buffer;
    let stamp: string;
    try {
      const file = fs.openSync(path, "r");
      try {
        // index.json is only ever replaced, so the inode and its times tell whether it is the one that was read before.
        const { ino, size, mtimeNs, ctimeNs } = fs.fstatSync(file, { bigint: true });
        stamp = `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
        if (this.#index?.stamp === stamp) return this.#index.value;
        bytes = fs.readFileSync(file);
      } finally {
        fs.closeSync(file);
      }
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return EMPTY_INDEX;
      throw storeFault(error, path);
    }
    const complain = (reason: string): KbuildError =>
      new KbuildError("machine.storeDamaged", `the store's ${path} is damaged: ${reason}`, {
        hint: "Remove it and build again: images lose their names, what is cached stays",
      });
    const value = parseIndex(bytes, complain, MAX_INDEX);
    this.#index = { stamp, value };
    return value;
  }

  #writeIndex(index: ImageIndex): void {
    const temporary = this.temporaryPath(".json");
    this.#writing(temporary, () => {
      const file = fs.openSync(temporary, "wx");
      try {
        fs.writeFileSync(file, encodeJson(index));
        fs.fsyncSync(file);
      } finally {
        fs.closeSync(file);
      }
      fs.renameSync(temporary, this.#indexPath());
      flushFolder(this.root);
    });
  }
}

/** A word that no other process comes to at the same time, with the process's own id beside it. */
function uniqueWord(): string {
  return process.hrtime.bigint().toString(36);
}

const EMPTY_INDEX: ImageIndex = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [] };

function checkVersion(text: string, root: string): void {
  let version: unknown;
  try {
    version = (JSON.parse(text) as { version?: unknown } | null)?.version;
  } catch {
    version = undefined;
  }
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    throw new KbuildError(
      "machine.storeDamaged",
      `${join(root, "kbuild-store.json")} does not tell the store's version`,
      {
        hint: "If this folder is kbuild's store, remove the file; else set KBUILD_ROOT to another folder",
      },
    );
  }
  if (version > VERSION) {
    throw new KbuildError(
      "machine.storeVersion",
      `the store ${root} has version ${version}, this kbuild knows versions up to ${VERSION}`,
      { hint: "Use the newer kbuild that made it, or set KBUILD_ROOT to another folder" },
    );
  }
}

/** OCI image-spec image-layout.md, "oci-layout file": another major version may have everything in another place. */
function checkLayoutVersion(root: string): void {
  const path = join(root, "oci-layout");
  let version: unknown;
  try {
    version = (JSON.parse(fs.readFileSync(path, "utf8")) as { imageLayoutVersion?: unknown } | null)
      ?.imageLayoutVersion;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    if (errnoOf(error) !== undefined) throw storeFault(error, path);
    version = undefined;
  }
  if (typeof version === "string" && version.startsWith("1.")) return;
  throw new KbuildError("machine.storeVersion", `${path} does not name version 1 of the OCI image layout`, {
    hint: "Use the newer kbuild that made it, or set KBUILD_ROOT to another folder",
  });
}

/** Makes what is missing. Several processes may do it at the same time; the version file comes last. */
function createStore(root: string): void {
  try {
    // For the owner alone: images may hold what only he should read.
    makeFolder(root, 0o700);
    for (const folder of FOLDERS) {
      // Unpacked files have their set-id bits: nobody else is to get at them, wherever the store is.
      const mode = folder === "layers" || folder === "tmp" ? 0o700 : 0o777;
      fs.mkdirSync(join(root, folder), { recursive: true, mode });
    }
    createFile(root, "oci-layout", { imageLayoutVersion: "1.0.0" });
    createFile(root, "index.json", EMPTY_INDEX);
    createFile(root, "kbuild-store.json", { version: VERSION });
  } catch (error) {
    throw storeFault(error, root);
  }
}

/** Writes a small file unless it is there, whole or not at all. */
function createFile(root: string, name: string, value: object): void {
  const path = join(root, name);
  if (fs.existsSync(path)) return;
  const temporary = join(root, "tmp", `${name}-${process.pid}-${uniqueWord()}`);
  try {
    fs.writeFileSync(temporary, encodeJson(value), { flag: "wx" });
    fs.linkSync(temporary, path);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(errnoOf(error) ?? "")) throw error;
    fs.renameSync(temporary, path);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

/** Makes a rename in the folder last through a loss of power. Not every file system can; then it is not promised. */
function flushFolder(path: string): void {
  try {
    const folder = fs.openSync(path, "r");
    try {
      fs.fsyncSync(folder);
    } finally {
      fs.closeSync(folder);
    }
  } catch {}
}
