/** What a golden build is: a small Dockerfile with its context, whose result stands in `expected/`. */
import type { Member } from "../conformance/base.ts";
import type { Planted } from "../support/workspace.ts";

/** The builders that kbuild is compared with: Debian's buildah, and the BuildKit of docker 20.10. */
export type PeerName = "buildah" | "buildkit20";

/** A file of a context; or an archive, whose members have the time 0. */
export type GoldenFile =
  | Planted
  | { readonly archive: readonly Member[]; readonly compression?: "gzip" | "bzip2" | "xz" | "zstd" };

export type GoldenFiles = Readonly<Record<string, GoldenFile>>;

/** What `--build-context NAME=…` stands for. */
export type NamedContext =
  | { readonly folder: GoldenFiles }
  /** An OCI layout of the image that this Dockerfile makes. */
  | { readonly layout: string }
  /** `docker-image://` and a name of {@link Golden.parents}. */
  | { readonly image: string };

export interface GoldenOptions {
  readonly args?: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly contexts?: Readonly<Record<string, NamedContext>>;
}

export interface Golden {
  /** A sentence about behaviour, the only one of its group that says so. */
  readonly name: string;
  readonly dockerfile: string;
  /** The context besides the Dockerfile. */
  readonly files?: GoldenFiles;
  readonly options?: GoldenOptions;
  /** Images that are built first, in this order, and known by these names: name -> Dockerfile, with the same context. */
  readonly parents?: Readonly<Record<string, string>>;
  /** Why the result is right, where that is not obvious. */
  readonly why?: string;
  /** What a peer does otherwise, and why kbuild does not. */
  readonly differs?: Readonly<Partial<Record<PeerName, string>>>;
}

/** The cases of one rule; `name` is also that of the file in `expected/`. */
export interface Group {
  readonly name: string;
  readonly cases: readonly Golden[];
}

/** Lines of a file, each ended. */
export function lines(...text: readonly string[]): string {
  return text.map((line) => `${line}\n`).join("");
}
