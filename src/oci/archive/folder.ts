import * as fs from "node:fs";
import { join } from "node:path";
import { KbuildError } from "../../errors.ts";
import { encodeJson } from "../digest.ts";
import { errnoOf, explainFault } from "../layout/faults.ts";
import { withLock } from "../layout/lock.ts";
import { makeFolder } from "../layout/make-folder.ts";
import { namedImages, withNames } from "../layout/names.ts";
import { parseIndex } from "../shape.ts";
import { type ImageIndex, MediaType } from "../types.ts";
import type { ArchiveMember } from "./plan.ts";

/**
 * Writes the members of an archive as an OCI image layout folder (`type=oci,tar=false`). Images that are in the folder
 * already stay, without the names that the new ones take. Blobs come before the index, each by rename, so that the
 * folder is a whole layout at any moment. docker's manifest.json is left out: it has no meaning in a folder.
 *
 * @param merge how the index that is there and the new one become one
 * @throws KbuildError `build.layout` when the folder has an index.json that is none; `machine.*` when writing fails
 */
export async function writeLayoutFolder(
  members: readonly ArchiveMember[],
  folder: string,
  merge: (there: ImageIndex, added: ImageIndex) => ImageIndex = withImages,
): Promise<void> {
  try {
    makeFolder(join(folder, "blobs", "sha256"));
    for (const member of members) if (member.name.startsWith("blobs/")) place(folder, member);
    await withLock(join(folder, "index.json.lock"), () => {
      for (const member of members) if (member.name === "oci-layout") place(folder, member);
      for (const member of members) if (member.name === "index.json") mergeIndex(folder, member, merge);
    });
  } catch (error) {
    throw explainFault(error, { doing: `writing the folder ${folder}` });
  }
}

function place(folder: string, member: ArchiveMember): void {
  const path = join(folder, member.name);
  if (fs.statSync(path, { throwIfNoEntry: false })?.size === member.size) return;
  replace(path, (temporary) => {
    if ("bytes" in member) fs.writeFileSync(temporary, member.bytes, { flag: "wx" });
    else fs.copyFileSync(member.path, temporary, fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE);
    const { size } = fs.statSync(temporary);
    if (size !== member.size) {
      const message = `${member.name} has ${size} bytes instead of ${member.size}`;
      throw new KbuildError("machine.storeDamaged", message);
    }
  });
}

/** The new images, each with its names taken from whoever has them. */
function withImages(there: ImageIndex, added: ImageIndex): ImageIndex {
  let index = there;
  for (const { reference, descriptor } of namedImages(added)) {
    index = withNames(index, reference === undefined ? [] : [reference], descriptor);
  }
  return index;
}

function mergeIndex(
  folder: string,
  member: ArchiveMember,
  merge: (there: ImageIndex, added: ImageIndex) => ImageIndex,
): void {
  if (!("bytes" in member)) return;
  const path = join(folder, "index.json");
  const complain = (reason: string): KbuildError =>
    new KbuildError("build.layout", `${path} is damaged: ${reason}`, { hint: "Remove it, or name another folder" });
  let index: ImageIndex = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests: [] };
  try {
    index = parseIndex(fs.readFileSync(path), complain);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
  const merged = merge(index, parseIndex(member.bytes, complain));
  replace(path, (temporary) => fs.writeFileSync(temporary, encodeJson(merged), { flag: "wx" }));
}

/** Makes a file under a name of its own and renames it into place. */
function replace(path: string, write: (temporary: string) => void): void {
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint()}.tmp`;
  try {
    write(temporary);
    fs.chmodSync(temporary, 0o644);
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}
