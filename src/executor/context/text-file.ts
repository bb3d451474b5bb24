import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { KbuildError } from "../../errors.ts";
import { errnoOf } from "../../oci/layout/faults.ts";
import { LARGEST_TEXT } from "./build-context.ts";

/**
 * The text of a file that a person wrote; undefined when it is not there. Pipes are read to their end, so that
 * `-f <(command)` works; a folder is an error. Bytes that are not UTF-8 are replaced.
 * @throws KbuildError `build.unreadable`, `build.tooLarge`
 */
export function readTextFile(path: string, shown: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw unreadable(shown, error);
  }
  try {
    if (fstatSync(file).isDirectory()) throw new KbuildError("build.unreadable", `${shown} is a folder, not a file`);
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
