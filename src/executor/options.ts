/** What a build may be told, and what it gives. `api.ts` hands these types out. */
import type { Descriptor, DiffId, Digest } from "../oci/types.ts";
import type { Isolation } from "../sandbox/detect.ts";
import type { BuildEvent, WarningRaised } from "./events.ts";

export interface BuildOptions {
  /**
   * The build context: a folder's path; the address of a git repository (`https://HOST/PATH.git#REF:FOLDER`), or of a tar or
   * a Dockerfile by HTTP; or a stream with a tar (plain, gzip, bzip2, xz, zstd) or a Dockerfile's text.
   */
  readonly context: string | AsyncIterable<Uint8Array>;
  /** Path of the Dockerfile, relative to the working directory, or its address; default: `Dockerfile` in the context. */
  readonly file?: string | undefined;
  /** The Dockerfile's text itself, instead of `file`. */
  readonly dockerfile?: string | undefined;
  /** Read a Dockerfile as docker's language even when `# syntax=` names another one. */
  readonly ignoreSyntax?: boolean | undefined;
  /** Names for the image, each `[HOST[:PORT]/]PATH[:TAG]`. */
  readonly tags?: readonly string[] | undefined;
  /** Build arguments. A value of `null` takes it from the environment (`--build-arg NAME`). */
  readonly buildArgs?: Readonly<Record<string, string | null>> | undefined;
  /** The stage to build; default: the last. */
  readonly target?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * Annotations of the image's manifest, of an index, or of their descriptors; as a text
   * `[LEVEL[,LEVEL…][[OS/ARCHITECTURE]]:]KEY=VALUE`.
   */
  readonly annotations?: readonly (string | AnnotationOptions)[] | undefined;
  /**
   * `os/architecture[/variant]`, one or several (as a list or with commas in between); default: this machine's. Of several
   * the result is an index.
   */
  readonly platform?: string | readonly string[] | undefined;
  /** Make one layer of all that the build makes on top of its base. */
  readonly squash?: boolean | undefined;
  readonly noCache?: boolean | undefined;
  /** Names of stages whose steps are not looked up in the cache. */
  readonly noCacheFilter?: readonly string[] | undefined;
  /** Ask the registry for every base first, even when the store has one of that name. */
  readonly pull?: boolean | undefined;
  /** `name` -> folder, `docker-image://REF`, `oci-layout://DIR[:TAG|@DIGEST]`, or the address of a repository or a file. */
  readonly buildContexts?: Readonly<Record<string, string>> | undefined;
  /** Default: `[{ type: "image" }]`. */
  readonly outputs?: readonly OutputOptions[] | undefined;
  /** Hosts that are spoken to by plain HTTP or with certificates that are not verified; loopback is by itself. */
  readonly insecureRegistries?: readonly string[] | undefined;
  /** The store; default `$KBUILD_ROOT`, `$XDG_DATA_HOME/kbuild`, `~/.local/share/kbuild`. */
  readonly root?: string | undefined;
  /** How RUN is kept apart from the machine; default: the best that the machine gives (`kbuild doctor`). */
  readonly isolation?: Isolation | "auto" | undefined;
  /** What `RUN --mount=type=secret` may have, by id. It reaches no layer, history, cache or log. */
  readonly secrets?: Readonly<Record<string, SecretSource>> | undefined;
  /**
   * What `RUN --mount=type=ssh` may have, by id (`default` where RUN names none): files of private keys, or the one socket
   * of an agent; an empty list is `$SSH_AUTH_SOCK`.
   */
  readonly ssh?: Readonly<Record<string, readonly string[]>> | undefined;
  /** The network of a RUN that asks for none in particular; `default` is `host`, the machine's. */
  readonly network?: "default" | "host" | "none" | undefined;
  /** Further lines of /etc/hosts in RUN. */
  readonly addHosts?: readonly ExtraHost[] | undefined;
  /** What a RUN may ask for that could reach beyond its sandbox. */
  readonly allow?: readonly Entitlement[] | undefined;
  /** Limits of setrlimit(2) for processes of RUN: `nofile`, `nproc`, `core`, …; default: those of this process. */
  readonly ulimits?: Readonly<Record<string, ResourceRange>> | undefined;
  /** Bytes of /dev/shm in RUN; default: 64 MiB. */
  readonly shmSize?: number | undefined;
  /** Bytes of memory that a RUN may have. This and what follows need a control group that this user may divide. */
  readonly memory?: number | undefined;
  /** Bytes of memory and swap together; -1: as much swap as there is. Needs `memory`. */
  readonly memorySwap?: number | undefined;
  /** Microseconds of a period in which a RUN may have `cpuQuota` microseconds of processor time; default: 100,000. */
  readonly cpuPeriod?: number | undefined;
  readonly cpuQuota?: number | undefined;
  /** Weight of a RUN against other processes; 1024 is usual. */
  readonly cpuShares?: number | undefined;
  /** Processors and memory nodes that a RUN may use: `0-3,6`. */
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** The control group that those of RUN are made in; default: this process's. */
  readonly cgroupParent?: string | undefined;
  /** Keep the files of a RUN that fails, to look into; for debugging. */
  readonly keepFailed?: boolean | undefined;
  /** Caches of other builds whose records steps may take. One that cannot be read is a warning. */
  readonly cacheFrom?: readonly CacheSource[] | undefined;
  /** Where the records and layers of this build go, for other machines. */
  readonly cacheTo?: readonly CacheTarget[] | undefined;
  /** Tells builds of one Dockerfile apart, so that why a step was not cached is told of the last build of this name. */
  readonly name?: string | undefined;
  /** Whether misses are explained at length in the events. */
  readonly explain?: boolean | undefined;
  /**
   * Seconds since 1970 to which times of what is made are clamped, or the name of what has that time: `context`, a stage, a
   * named context; default: `$SOURCE_DATE_EPOCH`, or what the Dockerfile has in front of its first FROM.
   */
  readonly sourceDateEpoch?: number | string | undefined;
  /** Environment for build arguments without a value, proxies, credentials; default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Stops the build; the promise rejects with code `interrupted`. */
  readonly signal?: AbortSignal | undefined;
}

/** What an annotation is on. A descriptor's is on what leads to the manifest or the index. */
export type AnnotationLevel = "manifest" | "index" | "manifest-descriptor" | "index-descriptor";

/** OCI image-spec annotations.md; docker buildx build, "--annotation". */
export interface AnnotationOptions {
  /** Default: `manifest`. */
  readonly level?: AnnotationLevel | undefined;
  /** Of several platforms the one that it is for; default: all. */
  readonly platform?: string | undefined;
  readonly key: string;
  readonly value: string;
}

/** Where a secret comes from: a file's content, an environment variable's value, or the value itself. At most 500 KiB. */
export type SecretSource =
  | { readonly file: string }
  | { readonly env: string }
  | { readonly value: string | Uint8Array };

export interface ExtraHost {
  readonly host: string;
  /** An IPv4 or IPv6 address, or `host-gateway`: the machine itself, which RUN reaches at 127.0.0.1. */
  readonly address: string;
}

/** docker's names; `network.host` is needed only when `network` is `none`, since RUN has the machine's network anyway. */
export type Entitlement = "network.host" | "security.insecure";

/** A soft and a hard limit; -1 is no limit. */
export interface ResourceRange {
  readonly soft: number;
  readonly hard: number;
}

/** A cache to read: an OCI layout folder that `cacheTo` wrote, or an image of a registry that has its cache in it. */
export type CacheSource =
  | {
      readonly type: "local";
      readonly src: string;
      /** Default: `latest`. */
      readonly tag?: string | undefined;
      readonly digest?: string | undefined;
    }
  | { readonly type: "registry"; readonly ref: string };

/** A cache to write: an OCI layout folder, or the image itself. */
export type CacheTarget =
  | {
      readonly type: "local";
      readonly dest: string;
      /** `min` (default): the layers of the images; `max`: those of all steps. */
      readonly mode?: "min" | "max" | undefined;
      /** Default: `latest`. */
      readonly tag?: string | undefined;
      /** Whether it is only a warning when it cannot be written. */
      readonly ignoreErrors?: boolean | undefined;
    }
  | { readonly type: "inline" };

export type CompressionName = "gzip" | "zstd" | "uncompressed";

export type OutputOptions =
  | { readonly type: "image"; readonly name?: string | undefined }
  /** One tar that is an OCI layout and a docker archive at once. `dest` of `-` is standard output. */
  | {
      readonly type: "docker" | "oci";
      readonly dest: string;
      /** `false`: a folder instead of a tar (`oci` only). */
      readonly tar?: boolean | undefined;
      readonly compression?: CompressionName | undefined;
      readonly compressionLevel?: number | undefined;
      readonly name?: string | undefined;
    }
  /** The files of the image: as a tar (`-` is standard output), or in a folder. */
  | {
      readonly type: "tar" | "local";
      readonly dest: string;
      /** Whether each platform has a folder of its own, `linux_amd64`; default: when there are several. */
      readonly platformSplit?: boolean | undefined;
    };

export interface BuildResult {
  /** Digest of the manifest. */
  readonly digest: Digest;
  /** Digest of the config, which docker calls the image ID. */
  readonly imageId: Digest;
  readonly descriptor: Descriptor;
  readonly tags: readonly string[];
  readonly layers: readonly BuiltLayer[];
  readonly steps: readonly BuiltStep[];
  readonly warnings: readonly BuildWarning[];
  /** Milliseconds from start to end. */
  readonly duration: number;
}

/** A warning of a build: what a check found, or what else is worth a look. */
export type BuildWarning = Omit<WarningRaised, "type" | "at">;

export interface BuiltLayer {
  readonly diffId: DiffId;
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
}

export interface BuiltStep {
  readonly name: string;
  readonly cached: boolean;
  readonly missReason?: string | undefined;
  readonly duration: number;
}

/**
 * A build under way: wait for it (`await build(…)`), or follow it (`for await (const event of build(…).events)`).
 * The events end with the build and never throw; the promise tells how it ended. Whoever follows them goes on reading until
 * then, or leaves the loop: steps that print wait for a reader that is slow.
 */
export interface Build extends PromiseLike<BuildResult> {
  readonly events: AsyncIterable<BuildEvent>;
  catch<T>(handler: (reason: unknown) => T | PromiseLike<T>): Promise<BuildResult | T>;
  finally(handler: () => void): Promise<BuildResult>;
}
