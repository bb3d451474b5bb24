import * as fs from "node:fs";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { KbuildError } from "../../errors.ts";
import { errnoOf, explainFault } from "../layout/faults.ts";
import type { ArchiveMember } from "./plan.ts";

/**
 * Writes the members as a tar, and ends the stream. Nothing is held in memory but a buffer.
 *
 * @throws KbuildError `interrupted` when the signal says so; `machine.brokenPipe` when the reader went away;
 *   `machine.storeDamaged` when a file has not the size that it should have; `machine.*` when writing fails
 */
export async function writeArchiveStream(
  members: readonly ArchiveMember[],
  output: Writable,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { signal } = options;
  const archive = pack();
  const flow = pipeline(archive, output, signal === undefined ? {} : { signal });
  const fill = async (): Promise<void> => {
    try {
      for (const member of members) await addMember(archive, member);
      archive.finalize();
    } catch (error) {
      archive.destroy(error instanceof Error ? error : undefined);
      throw error;
    }
  };
  // What went wrong first is the reason: a member that cannot be read, before the pipeline that it broke.
  const reasons: unknown[] = [];
  const note = (reason: unknown): void => void reasons.push(reason);
  await Promise.all([flow.catch(note), fill().catch(note)]);
  if (reasons.length === 0) return;
  if (signal?.aborted) throw new KbuildError("interrupted", "writing the archive was interrupted");
  const reason = reasons.find((each) => each instanceof KbuildError) ?? reasons[0];
  if (["EPIPE", "ERR_STREAM_PREMATURE_CLOSE"].includes(errnoOf(reason) ?? "")) {
    throw new KbuildError("machine.brokenPipe", "writing the archive: its reader went away", { cause: reason });
  }
  throw explainFault(reason, { doing: "writing the archive" });
}

async function addMember(archive: ReturnType<typeof pack>, member: ArchiveMember): Promise<void> {
  const header = {
    name: member.name,
    size: member.size,
    mode: 0o644,
    uid: 0,
    gid: 0,
    uname: "",
    gname: "",
    mtime: new Date(0),
    type: "file" as const,
  };
  if ("bytes" in member) {
    const bytes = Buffer.from(member.bytes);
    // Destroying the archive, which the pipeline does when the output fails, ends this with an error too.
    await new Promise<void>((resolve, reject) => {
      const entry = archive.entry(header, bytes, (error) => (error ? reject(error) : resolve()));
      // It tells of its error a second time, as an event that would end the process if nobody listened.
      entry.on("error", reject);
    });
    return;
  }
  const { path, size } = member;
  checkSize(path, size);
  await pipeline(fs.createReadStream(path, { highWaterMark: 1 << 20 }), archive.entry(header));
}

function checkSize(path: string, size: number): void {
  const actual = fs.statSync(path, { throwIfNoEntry: false })?.size;
  if (actual === size) return;
  const what = actual === undefined ? "is missing" : `has ${actual} bytes instead of ${size}`;
  throw new KbuildError("machine.storeDamaged", `${path} ${what}`);
}
