import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { Blake3Hasher } from "@napi-rs/blake-hash";
import { KbuildError } from "../../errors.ts";
import { identityOf } from "../../layers/identity.ts";
import { storeFault } from "../../oci/layout/faults.ts";
import { markUsed } from "../../oci/layout/last-use.ts";
import type { Store } from "../../oci/layout/store.ts";
import { showUrl } from "../../oci/registry/faults.ts";
import type { HttpFiles } from "../../oci/registry/http-files.ts";
import { isObject } from "../cache.ts";

/** What files are downloaded with. */
export interface DownloadsOptions {
  readonly store: Store;
  /** Opened at the first need. */
  readonly files: () => Promise<HttpFiles>;
  /** Value of an `Authorization` header for an address; undefined: none. */
  readonly authorization: (url: URL) => string | undefined;
}

/** A file that is here whole. */
export interface Download {
  /** Absolute path of the folder that it is in, and its name there. */
  readonly folder: string;
  readonly file: string;
  readonly size: number;
  /** `Last-Modified` in seconds since 1970, if the server sent one that makes sense. */
  readonly lastModified: number | undefined;
  /** The file's own time, seconds since 1970: 0 where the server tells none, as docker has it. */
  readonly modified: number;
  /** BLAKE3 of the content. */
  readonly digest: Uint8Array;
}

/** How far a download has come, in bytes. */
export type DownloadProgress = (done: number, total: number | undefined) => void;

/** What is known of an address. */
interface Known {
  readonly sha256: string;
  readonly blake3: string;
  readonly size: number;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/**
 * Files by HTTP. They stay in the store below `downloads/`, by address, with what the server said of their version: it is
 * asked each time whether that is still the one, and sends nothing if it is. RFC 9110, "Conditional Requests".
 */
export class Downloads {
  readonly #options: DownloadsOptions;
  readonly #found = new Map<string, Promise<Download>>();

  constructor(options: DownloadsOptions) {
    this.#options = options;
  }

  /**
   * Downloads a file, or finds it here. With a `checksum` (`sha256:…`) that a file here has nothing is asked at all. Asking
   * again in one build gives the same.
   * @throws KbuildError `build.checksum`, `registry.*`
   */
  get(url: URL, checksum: string | undefined, progress: DownloadProgress): Promise<Download> {
    const key = `${url.href} ${checksum ?? ""}`;
    let found = this.#found.get(key);
    if (found === undefined) {
      found = this.#get(url, checksum, progress);
      this.#found.set(key, found);
    }
    return found;
  }

  async #get(url: URL, checksum: string | undefined, progress: DownloadProgress): Promise<Download> {
    const { store, files, authorization } = this.#options;
    const folder = join(store.root, "downloads", identityOf("download", url.href));
    const known = readKnown(folder);
    if (known !== undefined && checksum === `sha256:${known.sha256}`) return downloadOf(folder, known);
    let news: Known | undefined;
    const temporary = store.temporaryPath();
    try {
      await (await files()).fetch(
        {
          url,
          authorization: authorization(url),
          etag: known?.etag,
          // Of both only the tag counts, and some servers do not know that.
          lastModified: known?.etag === undefined ? known?.lastModified : undefined,
        },
        async ({ etag, lastModified, length }, bytes) => {
          const content = await write(temporary, bytes, (done) => progress(done, length));
          news = { ...content, etag, lastModified };
        },
      );
      if (news === undefined && known !== undefined) {
        check(url, checksum, known);
        return downloadOf(folder, known);
      }
      if (news === undefined) throw new KbuildError("internal.download", `nothing came of ${showUrl(url)}`);
      check(url, checksum, news);
      keep(store, folder, temporary, news);
      return downloadOf(folder, news);
    } finally {
      fs.rmSync(temporary, { force: true });
    }
  }
}

function check(url: URL, checksum: string | undefined, { sha256 }: Known): void {
  if (checksum === undefined || checksum === `sha256:${sha256}`) return;
  throw new KbuildError("build.checksum", `${showUrl(url)} has the checksum sha256:${sha256}, not ${checksum}`, {
    hint: "either the file was changed, or the checksum is another file's",
  });
}

async function write(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  progress: (done: number) => void,
): Promise<Pick<Known, "sha256" | "blake3" | "size">> {
  const sha256 = createHash("sha256");
  const blake3 = new Blake3Hasher();
  let size = 0;
  const file = await guarded(path, () => fs.promises.open(path, "w", 0o600));
  try {
    for await (const part of bytes) {
      sha256.update(part);
      blake3.update(Buffer.from(part.buffer, part.byteOffset, part.byteLength));
      await guarded(path, () => file.writeFile(part));
      size += part.length;
      progress(size);
    }
  } finally {
    await file.close();
  }
  return { sha256: sha256.digest("hex"), blake3: blake3.digestBuffer().toString("hex"), size };
}

async function guarded<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw storeFault(error, path);
  }
}

/** Content first, then what says that it is there; another process that keeps another version at the same time is no harm. */
function keep(store: Store, folder: string, temporary: string, known: Known): void {
  try {
    fs.mkdirSync(folder, { recursive: true });
    // The core takes a file with another time than its entry's for one that was changed.
    const modified = lastModifiedOf(known) ?? 0;
    fs.utimesSync(temporary, modified, modified);
    fs.renameSync(temporary, join(folder, known.sha256));
    const record = store.temporaryPath();
    fs.writeFileSync(record, JSON.stringify(known));
    fs.renameSync(record, join(folder, RECORD));
  } catch (error) {
    throw storeFault(error, folder);
  }
}

const RECORD = "download.json";

/** Undefined as well when the content is not there with its size. */
function readKnown(folder: string): Known | undefined {
  try {
    const value: unknown = JSON.parse(fs.readFileSync(join(folder, RECORD), "utf8"));
    if (!isObject(value) || !isHex(value.sha256) || !isHex(value.blake3) || typeof value.size !== "number")
      return undefined;
    const { sha256, blake3, size } = value;
    if (fs.statSync(join(folder, sha256)).size !== size || !markUsed(join(folder, RECORD))) return undefined;
    return { sha256, blake3, size, etag: textOf(value.etag), lastModified: textOf(value.lastModified) };
  } catch {
    return undefined;
  }
}

function isHex(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function downloadOf(folder: string, known: Known): Download {
  const { sha256, blake3, size } = known;
  const lastModified = lastModifiedOf(known);
  return { folder, file: sha256, size, lastModified, modified: lastModified ?? 0, digest: Buffer.from(blake3, "hex") };
}

/** The last second that a file can have in every file system. */
const LATEST = 2 ** 31 - 1;

/** RFC 9110, "Last-Modified", in seconds since 1970. */
function lastModifiedOf({ lastModified }: Known): number | undefined {
  const seconds = Math.floor(Date.parse(lastModified ?? "") / 1000);
  return seconds >= 0 && seconds <= LATEST ? seconds : undefined;
}
