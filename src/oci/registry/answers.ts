import { createHash } from "node:crypto";
import { KbuildError } from "../../errors.ts";
import { asTransient, invalid, printable } from "./faults.ts";
import { parseRetryAfter } from "./retry.ts";
import type { Reply } from "./transport.ts";

/** What registries answer, read with the care that it needs: bounded, checked, and put into words when it is an error. */

const MAX_ERROR_BODY = 64 * 1024;

/** Where in the blob a reply to a Range begins; undefined when it is not the part that was asked for. */
export function startOf(reply: Reply, from: number, size: number): number | undefined {
  if (reply.status !== 206) return 0;
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(reply.header("content-range")?.trim() ?? "");
  if (!range || Number(range[1]) !== from || Number(range[2]) !== size - 1) return undefined;
  return range[3] === "*" || Number(range[3]) === size ? from : undefined;
}

/** The errors of statuses that may go away. */
export function statusFault(reply: Reply, host: string, subject: string, text: string): KbuildError | undefined {
  const { status } = reply;
  const wait = parseRetryAfter(reply.header("retry-after"));
  const said = saidBy(text);
  const detail = said === "" ? "" : `: ${said}`;
  const asks = wait > 0 ? `It asks to wait ${duration(wait)}` : undefined;
  if (status === 429) {
    const message = `${host} has had too many requests (429) to send ${subject}${detail}`;
    const hint = [asks, "A login often has a higher limit"].filter((part) => part !== undefined).join(". ");
    return asTransient(new KbuildError("registry.tooManyRequests", message, { hint }), wait);
  }
  if (status === 408) {
    return asTransient(new KbuildError("registry.timeout", `${host} gave up on ${subject} (408)${detail}`), wait);
  }
  if (status < 500) return undefined;
  const error = new KbuildError("registry.server", `${host} has a problem with ${subject} (${status})${detail}`, {
    hint: asks,
  });
  return [500, 502, 503, 504].includes(status) ? asTransient(error, wait) : error;
}

function duration(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds < 120) return `${seconds} seconds`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;
}

/** Distribution spec, "Error Codes": the first error's own words. */
export function saidBy(text: string): string {
  try {
    const [error] = Object(JSON.parse(text)).errors ?? [];
    const { message, code } = Object(error);
    return printable(String(message || code || "").replaceAll(/Bearer \S+/g, "Bearer …"));
  } catch {
    return "";
  }
}

export function checkDigest(actual: string, expected: string, what: string): void {
  if (actual === expected) return;
  throw new KbuildError("registry.mismatch", `${what} is not what it should be: it has the digest ${actual}`, {
    hint: `Expected was ${expected}; the registry or something on the way changed it`,
  });
}

export function checkDigestHeader(bytes: Uint8Array, header: string | undefined, what: string): void {
  if (header === undefined) return;
  const [algorithm = "", hex = ""] = header.trim().split(":");
  if (!/^sha(256|384|512)$/.test(algorithm) || !/^[0-9a-f]{64,128}$/.test(hex)) {
    throw invalid(what, `its Docker-Content-Digest ${JSON.stringify(printable(header))} is no digest`);
  }
  const actual = createHash(algorithm).update(bytes).digest("hex");
  checkDigest(`${algorithm}:${actual}`, `${algorithm}:${hex}`, what);
}

/** All of a body, never more than `maximum` bytes. */
export async function readBounded(reply: Reply, maximum: number, what: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = Number(reply.header("content-length") ?? 0);
  const tooLong = () => invalid(what, `it is longer than the ${maximum} bytes that are allowed`);
  try {
    if (length > maximum) throw tooLong();
    length = 0;
    for await (const chunk of reply.body) {
      length += chunk.length;
      if (length > maximum) throw tooLong();
      chunks.push(chunk);
    }
  } finally {
    reply.discard();
  }
  return Buffer.concat(chunks);
}

/** The beginning of an error's body; nothing if that cannot be read. */
export async function readPart(reply: Reply): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of reply.body) {
      length += chunk.length;
      chunks.push(chunk);
      if (length > MAX_ERROR_BODY) break;
    }
  } catch (error) {
    if (error instanceof KbuildError && error.code === "interrupted") throw error;
  } finally {
    reply.discard();
  }
  return Buffer.concat(chunks).toString("utf8").slice(0, MAX_ERROR_BODY);
}
