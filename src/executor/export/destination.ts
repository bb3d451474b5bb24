import {
  chmodSync,
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Writable } from "node:stream";
import { KbuildError } from "../../errors.ts";
import type { Output } from "../../native/protocol.ts";
import { errnoOf, explainFault } from "../../oci/layout/faults.ts";
import type { Tools } from "../tools.ts";

/** The descriptor under which the core has kbuild's own standard output. */
const STANDARD_OUTPUT: Output = { descriptor: 3 };

/**
 * Lets something write a file that is there whole or not at all: under a name beside it, which is renamed at the end and
 * removed when it fails. `-` is standard output; what is no regular file (a pipe, a device) gets the bytes at the end.
 * @throws KbuildError `build.output`, `machine.*`
 */
export async function writeDestination(
  tools: Tools,
  dest: string,
  write: (output: Output) => Promise<unknown>,
): Promise<void> {
  if (dest === "-") {
    await write(STANDARD_OUTPUT);
    return;
  }
  const kind = kindOf(dest);
  if (kind === "folder") throw new KbuildError("build.output", `the output ${dest} is a folder, not a file`);
  if (kind === "special") {
    await throughTemporary(tools, dest, write);
    return;
  }
  // A link stays one: what it leads to is replaced.
  const target = existsSync(dest) ? realpathSync(dest) : dest;
  const temporary = join(
    dirname(target),
    `${basename(target)}.${process.pid}-${process.hrtime.bigint().toString(36)}.kbuild-tmp`,
  );
  try {
    checkWritable(temporary);
    await write({ path: temporary });
    // Who may read what was there before may read what comes instead, and nobody else.
    const before = statSync(target, { throwIfNoEntry: false });
    if (before !== undefined) chmodSync(temporary, before.mode & 0o777);
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    // The core knows of the store alone, and its hint would send the user there.
    if (error instanceof KbuildError && error.code === "machine.diskFull") {
      const hint = "Free some space there, or write to another disk";
      throw new KbuildError(error.code, `writing ${dest}: the disk is full`, { hint, cause: error });
    }
    throw explainFault(error, { doing: `writing ${dest}` });
  }
}

function kindOf(dest: string): "file" | "folder" | "special" {
  const stat = statSync(dest, { throwIfNoEntry: false });
  if (stat === undefined || stat.isFile()) return "file";
  return stat.isDirectory() ? "folder" : "special";
}

/** The core would say it as well, but only of the temporary name. */
function checkWritable(temporary: string): void {
  closeSync(openSync(temporary, "wx"));
  rmSync(temporary);
}

async function throughTemporary(
  tools: Tools,
  dest: string,
  write: (output: Output) => Promise<unknown>,
): Promise<void> {
  const temporary = tools.store.temporaryPath();
  try {
    await write({ path: temporary });
    const { pipeline } = await import("node:stream/promises");
    const output: Writable = createWriteStream(dest, { flags: "w" });
    await pipeline(createReadStream(temporary, { highWaterMark: 1 << 20 }), output, { signal: tools.signal });
  } catch (error) {
    if (errnoOf(error) === "EPIPE") {
      throw new KbuildError("machine.brokenPipe", `writing ${dest}: its reader went away`, { cause: error });
    }
    throw explainFault(error, { doing: `writing ${dest}` });
  } finally {
    rmSync(temporary, { force: true });
  }
}
