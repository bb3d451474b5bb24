import type { Entry } from "../layers/entry-table.ts";
import type { NativeClient } from "../native/client.ts";
import type { Store } from "../oci/layout/store.ts";
import type { Cache } from "./cache.ts";
import type { LayerPool } from "./layer-pool.ts";
import type { Worker } from "./run/worker.ts";

/** What every step that makes a layer works with; made once for a build. */
export interface Tools {
  readonly store: Store;
  readonly cache: Cache;
  readonly native: NativeClient;
  readonly pool: LayerPool;
  /** Runs processes. */
  readonly worker: Worker;
  /** Small files of layers that were read, by the hexadecimal digest of their content. */
  readonly texts: Map<string, string>;
  /** Steps that are being done, by key: another platform's or target's same step waits for them and is a hit then. */
  readonly underWay: Map<string, Promise<unknown>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The time as images see it. */
export class Clock {
  /** Seconds since 1970 to which times are clamped, SOURCE_DATE_EPOCH. */
  readonly epoch: number | undefined;

  constructor(epoch: number | undefined) {
    this.epoch = epoch;
  }

  /** Now, or the epoch if that is earlier, in RFC 3339. */
  created(): string {
    return this.epoch === undefined ? new Date().toISOString() : new Date(this.epoch * 1000).toISOString();
  }

  /** The time of a folder that is made now. */
  mtime(): Entry["mtime"] {
    return { seconds: this.epoch ?? Math.floor(Date.now() / 1000), nanoseconds: 0 };
  }
}
