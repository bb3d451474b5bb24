import { inspect } from "node:util";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { parsePlatform } from "../../../src/oci/platform.ts";
import { RegistryClient, type RegistryClientOptions } from "../../../src/oci/registry/client.ts";
import type { RetryPolicy } from "../../../src/oci/registry/retry.ts";

export const AMD64 = parsePlatform("linux/amd64");

/** As in production, but waiting little. */
export const QUICK: Partial<RetryPolicy> = { tries: 4, baseDelay: 4 };

/** Runs with a client that is closed in the end. Nothing of this machine's environment reaches it. */
export async function withClient<T>(
  use: (client: RegistryClient) => Promise<T>,
  options: Partial<RegistryClientOptions> = {},
): Promise<T> {
  const client = new RegistryClient({ env: { HOME: "/nonexistent" }, retry: QUICK, ...options });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The KbuildError that a promise fails with; its message may be checked at once. */
export async function failure(promise: Promise<unknown>, code?: string, message?: string): Promise<KbuildError> {
  const error = await promise.then(
    (value) => assert.unreachable(`it succeeded: ${inspect(value).slice(0, 300)}`),
    (reason: unknown) => reason,
  );
  assert.instance(error, KbuildError, inspect(error));
  const found = error as KbuildError;
  if (code !== undefined) assert.is(found.code, code, found.message);
  if (message !== undefined) assert.ok(found.message.includes(message), found.message);
  return found;
}
