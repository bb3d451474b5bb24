import { fstatSync, writeSync } from "node:fs";
import type { Output } from "./shell.ts";

/**
 * Standard error where it is a file or a pipe: written at once and in order, as Node's own stream does there, but without
 * loading what that is made of, which takes as long as the rest of a cached build. Undefined for a terminal or a socket.
 * `broken` is told when the reader went away.
 */
export function syncOutput(descriptor: number, broken: (error: NodeJS.ErrnoException) => void): Output | undefined {
  const stat = fstatSync(descriptor);
  if (!stat.isFile() && !stat.isFIFO()) return undefined;
  let isBroken = false;
  return {
    isTTY: false,
    write(data, done) {
      if (!isBroken) {
        try {
          writeWhole(descriptor, typeof data === "string" ? Buffer.from(data) : data);
        } catch (error) {
          isBroken = true;
          broken(error as NodeJS.ErrnoException);
        }
      }
      done?.();
    },
  };
}

function writeWhole(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      // Somebody else made the pipe non-blocking, and it is full: its reader needs a moment.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
