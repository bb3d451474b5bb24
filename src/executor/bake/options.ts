/** What a bake may be told, and what it gives. `api.ts` hands these types out. */
import type { TargetAttributes } from "../../bake/attributes.ts";
import type { BakeFile } from "../../bake/plan.ts";
import type { ListedTarget, ListedVariable, PrintedGroup } from "../../bake/print.ts";
import type { BuildEvent } from "../events.ts";
import type { BuildOptions, BuildResult } from "../options.ts";

/** Which targets of which files, and what is changed in them. */
export interface BakeSelection {
  /**
   * Paths of files, or their texts. Default: those of the working directory that docker looks for, from `compose.yaml` to
   * `docker-bake.override.hcl`.
   */
  readonly files?: readonly (string | BakeFile)[] | undefined;
  /** Names of targets and groups; default: `default`. */
  readonly targets?: readonly string[] | undefined;
  /** Changes, as `--set` takes them: `web.args.VERSION=2`, `*.platform=linux/amd64`, `web.tags+=web:new`. */
  readonly set?: readonly string[] | undefined;
  /** Values for variables, which go before the environment's. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  readonly noCache?: boolean | undefined;
  readonly pull?: boolean | undefined;
  readonly push?: boolean | undefined;
  /** Keep the images in the store, also where other outputs are asked for. */
  readonly load?: boolean | undefined;
  readonly call?: string | undefined;
  readonly provenance?: string | undefined;
  readonly sbom?: string | undefined;
  /** Environment for variables, build arguments, proxies, credentials; default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Options of builds that files of definitions do not have, and that are for all targets. */
export interface BakeOptions
  extends BakeSelection,
    Pick<
      BuildOptions,
      "root" | "isolation" | "insecureRegistries" | "allow" | "explain" | "keepFailed" | "sourceDateEpoch" | "signal"
    > {
  /** How many targets are built at the same time; default: as many as this machine has processors, at least 2. */
  readonly jobs?: number | undefined;
}

/** What would be built, in the shape that `docker buildx bake --print` has. */
export interface BakePlan {
  readonly group: Readonly<Record<string, PrintedGroup>>;
  readonly target: Readonly<Record<string, TargetAttributes>>;
  /** What is to be told of the files: variables that are not set. */
  readonly warnings: readonly string[];
}

/** What files define. */
export interface BakeListing {
  readonly targets: readonly ListedTarget[];
  readonly variables: readonly ListedVariable[];
}

export interface BakeResult {
  /** By the names of targets, those among them that were built only for others. */
  readonly targets: Readonly<Record<string, BuildResult>>;
  /** Milliseconds from start to end. */
  readonly duration: number;
}

/**
 * Builds under way, as one: its events are those of all targets, in whose names the target stands first when there are
 * several. Otherwise like a `Build`.
 */
export interface Bake extends PromiseLike<BakeResult> {
  readonly events: AsyncIterable<BuildEvent>;
  catch<T>(handler: (reason: unknown) => T | PromiseLike<T>): Promise<BakeResult | T>;
  finally(handler: () => void): Promise<BakeResult>;
}
