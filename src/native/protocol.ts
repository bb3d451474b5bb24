/**
 * The border between TypeScript and the Rust core: every request, reply and event, and nothing else.
 * `native/src/protocol.rs` is its mirror; `test/native/protocol.test.ts` holds the two together.
 *
 * A frame, in both directions, over the core's standard input and output:
 *
 *     u32 LE  length of the head in bytes (of a request at most 16 MiB)
 *     u32 LE  length of the body in bytes (may be 0)
 *     head    JSON, UTF-8
 *     body    bytes whose meaning the head tells
 *
 * Paths inside bodies are bytes as the kernel has them; paths inside heads are UTF-8 strings.
 * Any number of requests run at a time; each has an id of the client's choosing, and its frames carry it.
 * The core ends when its standard input ends; unfinished output files are removed.
 * What has to do with sandboxes is in `sandbox-protocol.ts`.
 */

import type {
  Diffed,
  DiffRequest,
  Exited,
  Marked,
  MarkRequest,
  Moved,
  MoveRequest,
  Owners,
  Printed,
  Probed,
  ProbeRequest,
  Removed,
  RemoveRequest,
  RunRequest,
  Unpacked,
  UnpackRequest,
} from "./sandbox-protocol.ts";

/** Version of this protocol: the core's `hello` must say the same number. */
export const PROTOCOL_VERSION = 2;

// ------------------------------------------------------------------ requests

/**
 * Reads names (and, unless told otherwise, contents) below a directory: the build context.
 * Reply: `scanned`, body = an entry table (see `layers/entry-table.ts`) sorted in tree order, with BLAKE3
 * content digests of the regular files if `digest` is true. Paths in it are relative to `root`.
 * Nothing outside `root` is ever read: every path is resolved beneath a descriptor of it, and symbolic links met in
 * a selection are resolved as if `root` were `/`.
 */
export interface ScanRequest {
  readonly op: "scan";
  readonly id: number;
  /** Absolute path of the directory. */
  readonly root: string;
  /**
   * What to look for. Folders that match are listed whole. Several selections give one table without duplicates.
   * The `scanned` reply tells for each selection which entries it matched.
   */
  readonly selections: readonly Selection[];
  /** The rules of .dockerignore in their order, the last that matches decides; see `IgnoreRule`. */
  readonly ignore: readonly IgnoreRule[];
  /** Whether to read the regular files and give their BLAKE3 digests. */
  readonly digest: boolean;
  /**
   * File that remembers (device, inode, size, mtime, ctime) -> digest between builds; read first, and replaced
   * (tmp + rename) when something was learned. A file whose ctime or mtime is younger than 2 s before the scan began
   * is not trusted nor remembered ("racily clean"). Absent: nothing is remembered. A damaged file counts as empty.
   */
  readonly statCache?: string;
}

/**
 * One source of a COPY or ADD, split at `/`, already cleaned: no empty, `.` or `..` segment.
 * An empty list selects the root folder itself.
 */
export interface Selection {
  readonly segments: readonly SelectionSegment[];
  /**
   * Whether a symbolic link that is the last segment is followed (COPY does; it is what `COPY link /x` means).
   * Links in earlier segments are followed up to the first wildcard; what a wildcard matches must be a real folder.
   */
  readonly followLast: boolean;
}

/**
 * `name`: exactly this name. `pattern`: Go's `path/filepath.Match` on one name (`*`, `?`, `[a-z]`, `[^a]`, `\c`).
 * `any`: `**`, any number of folders including none.
 */
export type SelectionSegment =
  | { readonly kind: "name"; readonly text: string }
  | { readonly kind: "pattern"; readonly text: string }
  | { readonly kind: "any" };

/**
 * One line of .dockerignore after Docker's clean-up (comments gone, trimmed, cleaned, no leading slash), in the meaning
 * of moby/patternmatcher: a pattern matches a path or any of its parents; `**` spans folders; `!` turns a match around.
 */
export interface IgnoreRule {
  readonly pattern: string;
  readonly negated: boolean;
}

/**
 * Writes a tar, with what the entry table in the body says, in the table's order (the caller sorts).
 * The body is an entry table whose entries name a source for their bytes. Reply: `packed`.
 * The tar is deterministic: ustar headers, pax records only where ustar cannot hold a value, no user or group names,
 * no access or change times; each entry's mtime as given. It ends with two zero blocks and no further padding.
 * Every input byte is read once. A context file that is not what the table says (type, size, mtime, or content digest
 * if the table has one) or changes while it is read is an error with code `changed`.
 */
export interface PackRequest {
  readonly op: "pack";
  readonly id: number;
  readonly output: Output;
  readonly compression: Compression;
  /** What `Source.file` numbers in the table mean: absolute paths of folders, opened once, resolved beneath. */
  readonly roots: readonly string[];
  /** What `Source.blob` numbers in the table mean. */
  readonly blobs: readonly BlobSource[];
  /** Where to write the written layer's entry table (tmp name; the caller renames). Absent: not wanted. */
  readonly index?: string;
  /**
   * `layer`: diffID, digest, entries' BLAKE3 digests are computed. `archive`: an archive of finished blobs: nothing is
   * hashed, large files may be copied inside the kernel.
   */
  readonly purpose: "layer" | "archive";
  /** Folder for unnamed temporary files. */
  readonly temporary: string;
  /** The stat cache of `roots[0]` (see `ScanRequest.statCache`), which learns the digests that are computed here. */
  readonly statCache?: string;
  /** Seconds since 1970 to which times are clamped as they are written. What the table says is compared unclamped. */
  readonly epoch?: number;
}

/** A layer whose files can be the source of a new one: its tar, as it lies in the store. */
export interface BlobSource {
  /** Absolute path of the blob. */
  readonly path: string;
  readonly compression: CompressionKind;
}

/** A path that is created with O_EXCL, or a descriptor that the core inherited (3 is kbuild's own standard output). */
export type Output = { readonly path: string } | { readonly descriptor: number };

export type CompressionKind = "none" | "gzip" | "zstd";

/** Parallel compression whose bytes depend on the input, the kind and the level alone, never on the number of threads. */
export interface Compression {
  readonly kind: CompressionKind;
  /** gzip 1..9, zstd 1..22; ignored for `none`. */
  readonly level: number;
}

/**
 * Takes a layer in: verifies, decompresses, indexes and writes it in one pass. The compressed bytes come either from
 * `input` (a local file) or as `data` frames with the same id, ended by `end`. Reply: `ingested`.
 * Written is what came, unchanged. On any mismatch nothing is left at `output` or `index`.
 * Bounds (errors with code `hostile`): more compressed bytes than `size`; decompressed more than 1,000 times the
 * compressed size above 64 MiB, of which long runs of zeros count for a 64th; more than 4,000,000 entries; a path over 4,096 bytes or with a `..` segment that
 * leaves the root; a pax header over 1 MiB.
 */
export interface IngestRequest {
  readonly op: "ingest";
  readonly id: number;
  /** Local file to take the bytes from, instead of `data` frames. */
  readonly input?: string;
  /** Where to write the bytes as they came; absent: they are already where they belong (`input`), only index them. */
  readonly output?: string;
  /** Where to write the entry table of the layer. */
  readonly index: string;
  readonly compression: CompressionKind | "detect";
  /** Expected digest and size of the bytes as they come; absent when not known beforehand (ADD of a local archive). */
  readonly digest?: string;
  readonly size?: number;
  /** Expected digest of the decompressed tar. */
  readonly diffId?: string;
  /**
   * Where to write the decompressed tar (ADD of a local archive; also bzip2 and xz are understood when `compression` is
   * `detect`). Absent: not wanted.
   */
  readonly tar?: string;
  /** Also writes the layer's files while they come, as `unpack` does with the form `layer`. Absent: not wanted. */
  readonly tree?: { readonly output: string; readonly owners: Owners };
}

/** A piece of the bytes of an `ingest`: the body. At most 1 MiB. */
export interface DataFrame {
  readonly op: "data";
  readonly id: number;
}

/** The end of the bytes of an `ingest`. */
export interface EndFrame {
  readonly op: "end";
  readonly id: number;
}

/**
 * Writes a tree of files into a folder (`type=local`). The body is an entry table with sources, as for `pack`.
 * Reply: `extracted`. Every path is resolved beneath the folder, links never followed; existing files are replaced.
 * Owners are set when the caller is root, otherwise left; set-id bits and modes as given where the file system lets.
 */
export interface ExtractRequest {
  readonly op: "extract";
  readonly id: number;
  readonly output: string;
  readonly roots: readonly string[];
  readonly blobs: readonly BlobSource[];
  readonly temporary: string;
}

/**
 * Copies a blob into another compression (export, push). Reply: `recompressed`.
 */
export interface RecompressRequest {
  readonly op: "recompress";
  readonly id: number;
  readonly input: BlobSource;
  readonly output: string;
  readonly compression: Compression;
}

/** Stops a request; its reply is an error with code `cancelled`, and its unfinished output is removed. */
export interface CancelRequest {
  readonly op: "cancel";
  readonly id: number;
}

export type Request =
  | ScanRequest
  | PackRequest
  | IngestRequest
  | ExtractRequest
  | RecompressRequest
  | ProbeRequest
  | UnpackRequest
  | MarkRequest
  | DiffRequest
  | RemoveRequest
  | MoveRequest
  | RunRequest
  | DataFrame
  | EndFrame
  | CancelRequest;

// ------------------------------------------------------------------ replies

/** The first frame that the core sends. */
export interface Hello {
  readonly reply: "hello";
  readonly protocol: number;
  readonly version: string;
}

/** Body: an entry table. */
export interface Scanned {
  readonly reply: "scanned";
  readonly id: number;
  /**
   * For each selection, the numbers of the entries in the table that it matched (the resolved entry where a link was
   * followed), in table order, and the path that was asked for: for a link that was followed this is the link's own.
   */
  readonly matches: readonly (readonly Match[])[];
  /**
   * For each selection that matched nothing: whether it is there but a rule excludes it (its number), or the resolved
   * path's first missing part.
   */
  readonly misses: readonly (Miss | null)[];
  readonly warnings: readonly ScanWarning[];
  /** Number of files read for their digest, and their bytes. */
  readonly filesRead: number;
  readonly bytesRead: number;
}

export interface Match {
  /** Number of the entry in the table. */
  readonly entry: number;
  /** The path as it was found by the selection, before its last link was followed, lossily as UTF-8. */
  readonly asked: string;
}

export interface Miss {
  /** Number of the ignore rule that excludes it; null when it does not exist at all. */
  readonly rule: number | null;
}

/** Something in the context that cannot be in an image and was left out. What may not be read is an error (`denied`). */
export interface ScanWarning {
  readonly path: string;
  readonly kind: "socket" | "fifo" | "device";
}

export interface Packed {
  readonly reply: "packed";
  readonly id: number;
  /** Digest of the uncompressed tar. Empty strings when the purpose was `archive`. */
  readonly diffId: string;
  /** Digest and size of the bytes written. */
  readonly digest: string;
  readonly size: number;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
}

export interface Ingested {
  readonly reply: "ingested";
  readonly id: number;
  readonly digest: string;
  readonly size: number;
  readonly diffId: string;
  readonly tarSize: number;
  /** Number of entries in the index. */
  readonly entries: number;
  readonly compression: CompressionKind | "bzip2" | "xz";
}

export interface Extracted {
  readonly reply: "extracted";
  readonly id: number;
  readonly files: number;
  readonly bytes: number;
}

export interface Recompressed {
  readonly reply: "recompressed";
  readonly id: number;
  readonly digest: string;
  readonly size: number;
}

/** What a request has done so far; at most ten a second for each request. */
export interface Progress {
  readonly reply: "progress";
  readonly id: number;
  readonly bytes: number;
  readonly entries: number;
}

/**
 * A request that failed. `code`: `notFound`, `denied`, `changed`, `hostile`, `mismatch` (a digest or size), `noSpace`,
 * `readOnly`, `brokenPipe`, `cancelled`, `notArchive` (the bytes are no tar), `pattern` (a malformed pattern),
 * `sandbox` (it cannot be set up; the message names the system call and the error), `exec` (the command cannot be
 * started), `mount` (something cannot be mounted over what is there), `directory` (the working directory is no folder),
 * `unmapped` (an id that the sandbox's user namespace does not have), `protocol`, `io`.
 */
export interface Failed {
  readonly reply: "failed";
  readonly id: number;
  readonly code: FailureCode;
  readonly message: string;
  /** The path that it is about, lossily as UTF-8. */
  readonly path?: string;
}

export type FailureCode =
  | "notFound"
  | "denied"
  | "changed"
  | "hostile"
  | "mismatch"
  | "noSpace"
  | "readOnly"
  | "brokenPipe"
  | "cancelled"
  | "notArchive"
  | "pattern"
  | "sandbox"
  | "exec"
  | "mount"
  | "directory"
  | "unmapped"
  | "protocol"
  | "io";

export type Reply =
  | Hello
  | Scanned
  | Packed
  | Ingested
  | Extracted
  | Recompressed
  | Probed
  | Unpacked
  | Marked
  | Diffed
  | Removed
  | Moved
  | Printed
  | Exited
  | Progress
  | Failed;
