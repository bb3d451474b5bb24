import type { Store } from "../../oci/layout/store.ts";
import type { Isolation } from "../../sandbox/detect.ts";
import { readMachine } from "../../sandbox/machine.ts";
import { openSandbox, type Sandbox } from "../../sandbox/open.ts";

/**
 * Opens the best sandbox that this machine gives, or the one that was asked for.
 * @throws KbuildError `machine.noSandbox`
 */
export async function openBuildSandbox(
  store: Store,
  isolation: Isolation | undefined,
  signal: AbortSignal,
  warn: (message: string) => void,
): Promise<Sandbox> {
  const sandbox = await openSandbox(readMachine(), {
    ...(isolation === undefined ? {} : { isolation }),
    temporary: store.temporaryFolder,
    signal,
  });
  for (const warning of sandbox.warnings) warn(warning);
  return sandbox;
}
