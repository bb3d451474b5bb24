import { open } from "node:fs/promises";
import { KbuildError } from "../../errors.ts";
import type { SecretSource } from "../options.ts";
import type { SecretRequest } from "./mount-requests.ts";
import type { StepMount } from "./mounts.ts";

/** docker's limit. */
const LARGEST_SECRET = 500 * 1024;

/** The secrets of a build by id. They are in memory and nowhere else. */
export type Secrets = ReadonlyMap<string, Uint8Array>;

/**
 * Reads the secrets that a build was given, so that one that cannot be had is told before anything runs. As with docker,
 * a variable that is not set gives an empty one.
 * @throws KbuildError `usage.secret`
 */
export async function readSecrets(
  sources: Readonly<Record<string, SecretSource>> | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Secrets> {
  const secrets = new Map<string, Uint8Array>();
  for (const [id, source] of Object.entries(sources ?? {})) {
    if (id === "")
      throw new KbuildError("usage.secret", "a secret has no id", { hint: "write --secret id=NAME,src=FILE" });
    const value = await readSecret(id, source, env);
    if (value.length > LARGEST_SECRET) {
      throw new KbuildError("usage.secret", `the secret ${id} is larger than 500 KiB`, {
        hint: "a secret is a password, a token or a key; other files come in with COPY or RUN --mount=type=bind",
      });
    }
    secrets.set(id, value);
  }
  return secrets;
}

async function readSecret(
  id: string,
  source: SecretSource,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Uint8Array> {
  if ("value" in source) return typeof source.value === "string" ? Buffer.from(source.value) : source.value;
  if ("env" in source) return Buffer.from(env[source.env] ?? "");
  try {
    return await readStart(source.file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new KbuildError("usage.secret", `the secret ${id} cannot be read from ${source.file}: ${reason}`, { cause });
  }
}

/** A file up to a byte more than a secret may have. It may be a pipe, as a shell's `<(command)` is. */
async function readStart(path: string): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(LARGEST_SECRET + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** What a step gets of a secret: a file, a variable, or both. */
export interface StepSecret {
  readonly mount: Extract<StepMount, { kind: "file" }> | undefined;
  /** Name and value. */
  readonly variable: readonly [string, string] | undefined;
  /** The value as a text that must not be seen in the log. */
  readonly secret: string;
}

/**
 * Gives a step a secret that a mount asks for. One that the build was not given (`content` is undefined) is left out,
 * unless it is required.
 * @throws KbuildError `build.secret`, with the place
 */
export function stepSecret(request: SecretRequest, content: Uint8Array | undefined): StepSecret | undefined {
  const { target, variable, mode, uid, gid } = request;
  if (content === undefined) {
    if (request.required) throw missing(request);
    return undefined;
  }
  return {
    mount: target === undefined ? undefined : { kind: "file", target, content, mode, uid, gid, isSecret: true },
    variable: variable === undefined ? undefined : [variable, textOf(request, content)],
    secret: Buffer.from(content).toString("utf8"),
  };
}

function missing({ id, location }: SecretRequest): KbuildError {
  return new KbuildError("build.secret", `secret ${id}: not found, and RUN says that it is required`, {
    location,
    hint: `give it to the build with --secret id=${id},src=FILE or --secret id=${id},env=NAME`,
  });
}

/** A variable is a text that ends with a zero byte. */
function textOf({ id, variable, location }: SecretRequest, content: Uint8Array): string {
  const fail = (reason: string) =>
    new KbuildError("build.secret", `the secret ${id} cannot be the variable ${variable}: ${reason}`, {
      location,
      hint: "mount it as a file: take env out",
    });
  if (content.includes(0)) throw fail("it has a zero byte in it");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw fail("it is not UTF-8");
  }
}
