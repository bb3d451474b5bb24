import * as fs from "node:fs";
import { Writable } from "node:stream";
import { KbuildError, type PlannedSave } from "../api.ts";
import { command } from "./command.ts";
import { saveOptions } from "./options.ts";
import type { Output } from "./shell.ts";

export const saveCommand = command({
  name: "save",
  usage: "[OPTIONS] IMAGE...",
  aliases: ["kbuild image save"],
  about: "Writes images to one archive that docker load, podman, skopeo and containerd take.",
  options: saveOptions,
  operands: { min: 1, max: Number.POSITIVE_INFINITY, what: "an image" },
  examples: ["kbuild save -o web-ping.tar web-ping:v2", "kbuild save web-ping:v2 | docker load"],
  run: async ({ values, operands }, shell) => {
    const { output, root } = values;
    const file = output === "-" ? undefined : output;
    if (file === undefined && shell.stdout.isTTY) {
      throw new KbuildError("usage.terminal", "an archive is not written to a terminal", {
        hint: "name a file with -o FILE, or redirect standard output",
      });
    }
    const { planArchiveOf } = await shell.engine();
    const plan = await planArchiveOf(operands, { root });
    const { signal } = shell.interruption;
    if (file === undefined) await plan.write(streamTo(shell.stdout), { signal });
    else await writeFile(plan, file, signal);
  },
});

/** A stream of its own, for what is written to it ends, and standard output does not. */
function streamTo(stdout: Output): Writable {
  return new Writable({
    highWaterMark: 1 << 20,
    write: (chunk: Uint8Array, _, done) => {
      stdout.write(chunk, done);
    },
  });
}

/**
 * All or nothing: to a file beside it, which gets the name when it is whole. A link is followed; a pipe or a device is
 * written to as it is.
 */
async function writeFile(plan: PlannedSave, file: string, signal: AbortSignal): Promise<void> {
  const target = targetOf(file);
  if (target === undefined) {
    await plan.write(await opened(file, "w", file), { signal });
    return;
  }
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    await plan.write(await opened(temporary, "wx", file), { signal });
    fs.renameSync(temporary, target);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error instanceof KbuildError ? error : cannotWrite(file, error);
  }
}

/** The file that gets the archive; undefined for what is there and is no ordinary file. */
function targetOf(file: string): string | undefined {
  try {
    const found = fs.statSync(file, { throwIfNoEntry: false });
    if (found === undefined) return file;
    if (found.isDirectory()) throw new KbuildError("usage.output", `${file} is a folder`, { hint: "-o takes a file" });
    return found.isFile() ? fs.realpathSync(file) : undefined;
  } catch (error) {
    throw error instanceof KbuildError ? error : cannotWrite(file, error);
  }
}

/** Opened before anything is read, so that a path that cannot be written is told as such. */
function opened(path: string, flags: string, file: string): Promise<Writable> {
  return new Promise((resolve, reject) => {
    const stream = fs.createWriteStream(path, { flags });
    stream.once("error", (error) => reject(cannotWrite(file, error)));
    stream.once("open", () => {
      stream.removeAllListeners("error");
      resolve(stream);
    });
  });
}

function cannotWrite(file: string, error: unknown): KbuildError {
  const reason = error instanceof Error ? error.message : String(error);
  return new KbuildError("machine.io", `${file} cannot be written: ${reason}`, { cause: error });
}
