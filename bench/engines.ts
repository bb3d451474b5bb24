import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { dockerClient } from "./docker-client.ts";

/** What the templates of an engine are filled with. */
export interface Place {
  /** Name of the image, `127.0.0.1:PORT/out/w1:1`. */
  readonly tag: string;
  readonly context: string;
  /** The archive to write. */
  readonly archive: string;
  /** The engine's own folder, empty at first. */
  readonly store: string;
  /** `127.0.0.1:PORT`. */
  readonly registry: string;
  /** Where the engine's daemon listens; empty for engines without one. */
  readonly socket: string;
}

export type Command = readonly string[];
export type DaemonKind = "dockerd" | "buildkitd";

/** A builder: commands in, an image out. */
export interface Engine {
  readonly name: string;
  readonly title: string;
  /** Whose account it runs with; `user` is the plain one. */
  readonly account: "root" | "user";
  readonly isPeer: boolean;
  /** Programs without which it is not available. */
  readonly needs: readonly string[];
  readonly daemon?: DaemonKind;
  readonly env: (place: Place) => Readonly<Record<string, string>>;
  /** The image is in the engine's own store when these are done. */
  readonly build: (place: Place) => readonly Command[];
  /** An archive of the image is at `archive` when these are done. */
  readonly archive: (place: Place) => readonly Command[];
  /** Prints, for the image that `build` made, what `identity` makes a list of diff IDs (or of digests) of. */
  readonly inspect: (place: Place) => Command;
  readonly identity: (printed: string) => readonly string[];
  /** Whether these are diff IDs, which say what the image consists of. */
  readonly hasDiffIds: boolean;
  /** Empties the store of a daemon; without a daemon the folder is removed instead. */
  readonly reset: (place: Place) => readonly Command[];
  /** Removes such a folder when the bench is not run by root. */
  readonly remove: (store: string) => Command;
  /** Prints its version. */
  readonly version: () => Command;
}

const HOME = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
export const KBUILD: string = path.join(HOME, "dist/kbuild.cjs");
export const RAW: string = path.join(HOME, "bench/raw/target/release/raw");

export const ENGINES: readonly Engine[] = [
  kbuild(),
  buildah("buildah-rootless", "user"),
  buildah("buildah-root", "root"),
  docker("docker", "0", "docker's own builder in dockerd"),
  docker("docker-buildkit", "1", "the BuildKit inside dockerd"),
  buildkitd(),
];

export const ENGINE_NAMES: readonly string[] = ENGINES.map(({ name }) => name);

function kbuild(): Engine {
  const program = [process.execPath, KBUILD];
  return {
    name: "kbuild",
    title: "node dist/kbuild.cjs, no daemon, no root",
    account: "user",
    isPeer: false,
    needs: [],
    env: ({ store }) => ({ KBUILD_ROOT: store }),
    build: ({ tag, context }) => [[...program, "build", "-t", tag, context]],
    archive: ({ tag, context, archive }) => [
      [...program, "build", "-t", tag, "-o", `type=docker,dest=${archive}`, context],
    ],
    inspect: ({ tag }) => [...program, "inspect", "--format", "{{json .RootFS.Layers}}", tag],
    identity: strings,
    hasDiffIds: true,
    reset: () => [],
    remove: (store) => ["rm", "-rf", store],
    version: () => [...program, "--version"],
  };
}

function buildah(name: string, account: "root" | "user"): Engine {
  const program = (store: string) => [
    "buildah",
    ...["--storage-driver", "overlay", "--root", `${store}/graph`, "--runroot", `${store}/run`],
  ];
  const bud = ({ store }: Place) => [
    ...program(store),
    ...["bud", "--layers", "--isolation", "chroot", "--tls-verify=false"],
  ];
  return {
    name,
    title: account === "root" ? "buildah as root, overlay" : "buildah as a plain user, overlay in its user namespace",
    account,
    isPeer: true,
    needs: account === "root" ? ["buildah"] : ["buildah", "newuidmap", "newgidmap"],
    env: () => ({}),
    build: (place) => [[...bud(place), "-t", place.tag, place.context]],
    archive: (place) => [[...bud(place), "-t", `docker-archive:${place.archive}`, place.context]],
    inspect: ({ store, tag }) => [...program(store), "inspect", "--type", "image", tag],
    identity: (printed) => {
      const { OCIv1 } = JSON.parse(printed) as { OCIv1?: { rootfs?: { diff_ids?: unknown } } };
      return strings(JSON.stringify(OCIv1?.rootfs?.diff_ids ?? null));
    },
    hasDiffIds: true,
    reset: () => [],
    // Some files belong to subordinate ids, which only the user namespace can remove.
    remove: (store) => ["buildah", "unshare", "rm", "-rf", store],
    version: () => ["buildah", "--version"],
  };
}

function docker(name: string, buildkit: "0" | "1", title: string): Engine {
  // The daemon has no bridge; RUN gets the machine's network, as with the other engines.
  const build = ({ tag, context }: Place): Command => [
    ...[dockerClient(), "build", "--network", "host", "-t", tag, context],
  ];
  return {
    name,
    title,
    account: "root",
    isPeer: true,
    needs: ["docker", "dockerd"],
    daemon: "dockerd",
    env: ({ socket }) => ({ DOCKER_HOST: `unix://${socket}`, DOCKER_BUILDKIT: buildkit }),
    build: (place) => [build(place)],
    archive: (place) => [build(place), [dockerClient(), "save", "-o", place.archive, place.tag]],
    inspect: ({ tag }) => [dockerClient(), "image", "inspect", "--format", "{{json .RootFS.Layers}}", tag],
    identity: strings,
    hasDiffIds: true,
    reset: () => [
      [dockerClient(), "system", "prune", "--all", "--force"],
      [dockerClient(), "builder", "prune", "--all", "--force"],
    ],
    remove: (store) => ["rm", "-rf", store],
    version: () => [dockerClient(), "version", "--format", "client {{.Client.Version}}, server {{.Server.Version}}"],
  };
}

function buildkitd(): Engine {
  const control = ({ socket }: Place): Command => ["buildctl", "--addr", `unix://${socket}`];
  // Layers not compressed, as the other engines leave them: it would be slower with its own default.
  const build = (place: Place, output: string): Command => [
    ...control(place),
    ...["build", "--progress", "plain", "--frontend", "dockerfile.v0"],
    ...["--local", `context=${place.context}`, "--local", `dockerfile=${place.context}`],
    ...["--output", `${output},name=${place.tag},compression=uncompressed`],
    ...["--metadata-file", `${place.store}/metadata.json`],
  ];
  return {
    name: "buildkitd",
    title: "a buildkitd of its own, with buildctl",
    account: "root",
    isPeer: true,
    needs: ["buildkitd", "buildctl", "runc"],
    daemon: "buildkitd",
    env: () => ({}),
    build: (place) => [build(place, "type=image")],
    archive: (place) => [build(place, `type=docker,dest=${place.archive}`)],
    // It keeps no images to look at; what it says about the image that it made must do.
    inspect: ({ store }) => ["cat", `${store}/metadata.json`],
    identity: (printed) => {
      const digest = (JSON.parse(printed) as Readonly<Record<string, unknown>>)["containerimage.digest"];
      if (typeof digest !== "string") throw new Error(`buildctl names no image: ${printed}`);
      return [digest];
    },
    hasDiffIds: false,
    reset: (place) => [[...control(place), "prune", "--all"]],
    remove: (store) => ["rm", "-rf", store],
    version: () => ["buildkitd", "--version"],
  };
}

function strings(printed: string): readonly string[] {
  const list: unknown = JSON.parse(printed);
  if (!Array.isArray(list) || !list.every((each) => typeof each === "string")) throw new Error(`no list: ${printed}`);
  return list;
}
