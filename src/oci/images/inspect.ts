import type { Store } from "../layout/store.ts";
import { familiarName, familiarRepository } from "../reference.ts";
import type { ContainerConfig, Descriptor, DiffId, Digest, Healthcheck } from "../types.ts";
import { findImage } from "./find.ts";
import { imageSize, type SizeOptions } from "./size.ts";

/**
 * What `docker image inspect` prints, member for member in its order. Left out are members that say something of a
 * daemon's inside (GraphDriver) or that docker itself gave up (Container, ContainerConfig, VirtualSize).
 */
export interface InspectedImage {
  readonly Id: Digest;
  readonly RepoTags: readonly string[];
  /** Each repository with the digest of the manifest. */
  readonly RepoDigests: readonly string[];
  readonly Parent: "";
  readonly Comment: string;
  readonly Created: string;
  readonly DockerVersion: string;
  readonly Author: string;
  readonly Config: InspectedConfig;
  readonly Architecture: string;
  readonly Variant?: string;
  readonly Os: string;
  readonly OsVersion?: string;
  readonly Size: number;
  readonly RootFS: { readonly Type: "layers"; readonly Layers: readonly DiffId[] };
  readonly Metadata: { readonly LastTagTime: string };
  /** Of the manifest, as docker with the containerd store has it. */
  readonly Descriptor: Descriptor;
}

/** docker's `Config`: what it always prints, null where there is nothing; the others only where there is something. */
export interface InspectedConfig {
  readonly Hostname: "";
  readonly Domainname: "";
  readonly User: string;
  readonly AttachStdin: false;
  readonly AttachStdout: false;
  readonly AttachStderr: false;
  readonly ExposedPorts?: ContainerConfig["ExposedPorts"];
  readonly Tty: false;
  readonly OpenStdin: false;
  readonly StdinOnce: false;
  readonly Env: readonly string[] | null;
  readonly Cmd: readonly string[] | null;
  readonly Healthcheck?: Healthcheck;
  readonly ArgsEscaped?: true;
  readonly Image: "";
  readonly Volumes: ContainerConfig["Volumes"] | null;
  readonly WorkingDir: string;
  readonly Entrypoint: readonly string[] | null;
  readonly OnBuild: readonly string[] | null;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string;
  readonly Shell?: readonly string[];
}

/** Go's zero time, which docker prints where it knows none. */
const NO_TIME = "0001-01-01T00:00:00Z";

/**
 * Everything about an image, in the shape of `docker image inspect`.
 *
 * @throws KbuildError `build.noSuchImage`; `machine.storeDamaged`
 */
export async function inspectImage(store: Store, name: string, options: SizeOptions = {}): Promise<InspectedImage> {
  const { image, references, descriptor } = findImage(store, name);
  const { config } = image;
  const text = (member: string): string => {
    const value = (config as unknown as Record<string, unknown>)[member];
    return typeof value === "string" ? value : "";
  };
  const repositories = new Set(references.map(familiarRepository));
  return {
    Id: image.id,
    RepoTags: references
      .filter(({ tag }) => tag !== undefined)
      .map(({ domain, path, tag }) => familiarName({ domain, path, ...(tag === undefined ? {} : { tag }) })),
    RepoDigests: [...repositories].map((repository) => `${repository}@${descriptor.digest}`),
    Parent: "",
    // docker: the newest instruction's comment stands for the image's own, which only docker commit wrote.
    Comment: text("comment") || (config.history?.at(-1)?.comment ?? ""),
    Created: config.created ?? NO_TIME,
    DockerVersion: text("docker_version"),
    Author: config.author ?? "",
    Config: inspectConfig(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant ? { Variant: config.variant } : {}),
    Os: config.os,
    ...(config["os.version"] ? { OsVersion: config["os.version"] } : {}),
    Size: await imageSize(store, image, options),
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: NO_TIME },
    Descriptor: descriptor,
  };
}

function inspectConfig(config: ContainerConfig): InspectedConfig {
  return {
    Hostname: "",
    Domainname: "",
    User: config.User ?? "",
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(isEmpty(config.ExposedPorts) ? {} : { ExposedPorts: config.ExposedPorts }),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.Env ?? null,
    Cmd: config.Cmd ?? null,
    ...(config.Healthcheck ? { Healthcheck: config.Healthcheck } : {}),
    ...(config.ArgsEscaped ? { ArgsEscaped: true } : {}),
    Image: "",
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? null,
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
    ...(config.Shell && config.Shell.length > 0 ? { Shell: config.Shell } : {}),
  };
}

function isEmpty(value: object | null | undefined): boolean {
  return value === undefined || value === null || Object.keys(value).length === 0;
}
