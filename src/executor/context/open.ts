import { KbuildError } from "../../errors.ts";
import { ArchiveContext } from "./archive.ts";
import { type BuildContext, LARGEST_TEXT } from "./build-context.ts";
import type { FolderTools } from "./folder.ts";
import { noContext } from "./none.ts";
import { tooLarge } from "./text-file.ts";

/** A context, and the Dockerfile's text if that is what came as the context. */
export interface OpenedContext {
  readonly context: BuildContext;
  readonly dockerfile: string | undefined;
  /** The time of what came, in seconds since 1970: of an archive that of its newest file. */
  readonly time: () => Promise<number | undefined>;
}

/**
 * Opens a context that comes as bytes: a tar, or a Dockerfile's text.
 *
 * @param name what the bytes come from, for messages: `standard input`, an address
 * @throws KbuildError `build.context`
 */
export async function openStream(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
  tools: FolderTools,
): Promise<OpenedContext> {
  const { start, rest } = await peek(stoppable(bytes, tools.signal), BLOCK);
  if (start.length === 0) {
    throw new KbuildError("build.context", `${name} is empty`, {
      hint: "send a tar or a Dockerfile, or name a folder instead of -",
    });
  }
  if (isArchive(start)) {
    const context = await ArchiveContext.read(rest, name, tools);
    return { context, dockerfile: undefined, time: async () => context.newest() };
  }
  return { context: noContext, dockerfile: await readText(rest, name), time: async () => undefined };
}

/** Size of a tar's header. */
const BLOCK = 512;

/** What the compressed forms begin with. */
const MAGICS: readonly (readonly number[])[] = [
  [0x1f, 0x8b],
  [0x42, 0x5a, 0x68],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  [0x28, 0xb5, 0x2f, 0xfd],
];

/** Whether bytes begin as a tar does, or as one that is compressed. */
function isArchive(start: Buffer): boolean {
  if (MAGICS.some((magic) => magic.every((byte, at) => start[at] === byte))) return true;
  return start.length >= BLOCK && hasHeaderChecksum(start);
}

/** POSIX pax, "ustar Interchange Format": the sum of the header's bytes, with its own field taken as spaces. */
function hasHeaderChecksum(header: Buffer): boolean {
  const field = /^[ \0]*([0-7]{1,8})[ \0]*$/.exec(header.toString("latin1", 148, 156))?.[1];
  if (field === undefined) return false;
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at] ?? 0;
  return sum === Number.parseInt(field, 8);
}

async function readText(bytes: AsyncIterable<Uint8Array>, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of bytes) {
    total += part.length;
    if (total > LARGEST_TEXT) throw tooLarge(`${name}, which is no tar,`);
    parts.push(part);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
    if (!text.includes("\0")) return text;
  } catch {
    // Bytes that are not UTF-8: refused below like those that no text has.
  }
  throw new KbuildError("build.context", `${name} is neither a tar nor a Dockerfile`, {
    hint: "send a tar (plain, gzip, bzip2, xz or zstd) or a Dockerfile",
  });
}

/** The first bytes of a stream, at least so many unless it is shorter, and a stream that still has them. */
async function peek(
  bytes: AsyncIterable<Uint8Array>,
  length: number,
): Promise<{ readonly start: Buffer; readonly rest: AsyncIterable<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let total = 0;
  while (total < length) {
    const next = await iterator.next();
    if (next.done === true) break;
    parts.push(next.value);
    total += next.value.length;
  }
  const start = Buffer.concat(parts);
  async function* whole(): AsyncIterable<Uint8Array> {
    try {
      if (start.length > 0) yield start;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { start, rest: whole() };
}

/** A stream that ends with `interrupted` when the signal says so, also while its source has nothing to give. */
async function* stoppable(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const iterator = bytes[Symbol.asyncIterator]();
  let stop: () => void = () => {};
  const stopped = new Promise<"stopped">((resolve) => {
    stop = () => resolve("stopped");
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
  let isOver = false;
  try {
    while (!isOver) {
      const next = await Promise.race([iterator.next(), stopped]);
      if (next === "stopped") throw new KbuildError("interrupted", "the build was interrupted");
      isOver = next.done === true;
      if (next.done !== true) yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    // A source that waits for something itself may answer late: nobody has to wait for that.
    if (!isOver) void iterator.return?.()?.then(undefined, () => undefined);
  }
}
