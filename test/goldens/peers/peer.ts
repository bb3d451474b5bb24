import type { Golden, PeerName } from "../golden.ts";
import type { Outcome } from "../outcome.ts";

/** Another builder, running. */
export interface Peer {
  readonly name: PeerName;
  /** What the case has that this builder cannot be told; undefined when it can be told all. */
  cannotExpress(golden: Golden): string | undefined;
  /** Builds a case in a folder of its own. Where it fails, `fails` is `Dockerfile:LINE` or a dash. */
  build(golden: Golden, folder: string): Promise<Outcome>;
  close(): Promise<void>;
}
