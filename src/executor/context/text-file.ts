import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { errnoOf } from "../../oci/layout/faults.ts";
import { LARGEST_TEXT } from "./build-context.ts";

/**
 * The text of a file that a person wrote; undefined when it is not there. A folder is an error. One that
 * the user named (`isNamed`) may be a pipe, so that `-f <(command)` works; of one that only lies there a pipe would be
 * waited for without end. Bytes that are not UTF-8 are replaced.
 * @throws KbuildError `build.unreadable`, `build.tooLarge`
 */
export function readTextFile(path: string, shown: string, isNamed = false): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | (isNamed ? 0 : constants.O_NONBLOCK));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw unreadable(shown, error);
  }
  try {
    if (fstatSync(file).isDirectory()) throw new KbuildError("build.unreadable", `${shown} is a folder, not a file`);
    if (!isNamed && !fstatSync(file).isFile())
      throw new KbuildError("build.unreadable", `${shown} is not a regular file`);
    const parts: Buffer[] = [];
    for (let total = 0; ; ) {
      const part = Buffer.allocUnsafe(64 * 1024);
      const read = readSync(file, part);
      if (read === 0) break;
      total += read;
      if (total > LARGEST_TEXT) throw tooLarge(shown);
      parts.push(part.subarray(0, read));
    }
    return Buffer.concat(parts).toString("utf8");
  } catch (error) {
    throw error instanceof KbuildError ? error : unreadable(shown, error);
  } finally {
    closeSync(file);
  }
}

export function tooLarge(shown: string): KbuildError {
  return new KbuildError("build.tooLarge", `${shown} is larger than ${LARGEST_TEXT / 1024 / 1024} MiB`);
}

function unreadable(shown: string, cause: unknown): KbuildError {
  const errno = errnoOf(cause);
  const reason =
    errno === "EACCES" ? "permission denied" : errno === "ELOOP" ? "too many symbolic links" : String(errno ?? cause);
  return new KbuildError("build.unreadable", `${shown} cannot be read: ${reason}`, { cause });
}
