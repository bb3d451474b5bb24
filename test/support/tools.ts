import * as path from "node:path";
import { type CommandOptions, must, type Outcome, run } from "./command.ts";
import { workspace } from "./workspace.ts";

/** Runs skopeo; throws unless the status is 0. Signatures are not asked for. */
export function skopeo(...argv: readonly string[]): Promise<Outcome> {
  return must("skopeo", ["--insecure-policy", ...argv], { env: { HOME: workspace("kbuild-skopeo") } });
}

/** What `skopeo inspect NAME` says. */
export async function skopeoInspect(name: string): Promise<{ Digest: string; Layers: string[]; Env: string[] | null }> {
  return JSON.parse((await skopeo("inspect", name)).stdout);
}

/** The config of an image, as skopeo reads it. */
export async function skopeoConfig(name: string): Promise<Record<string, unknown>> {
  return JSON.parse((await skopeo("inspect", "--config", name)).stdout);
}

/** Unpacks an image of a layout folder with umoci; gives the folder of its files. */
export async function umociUnpack(layout: string, name: string): Promise<string> {
  const bundle = path.join(workspace("kbuild-umoci"), "bundle");
  const rootless = process.getuid?.() === 0 ? [] : ["--rootless"];
  await must("umoci", ["unpack", ...rootless, "--image", `${layout}:${name}`, bundle]);
  return path.join(bundle, "rootfs");
}

/** A podman with an image store of its own. */
export interface Podman {
  /** Throws unless the status is 0. */
  run(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
  try(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
}

export function startPodman(): Podman {
  const folder = workspace("kbuild-podman");
  const common = [
    `--root=${folder}/root`,
    `--runroot=${folder}/run`,
    `--tmpdir=${folder}/tmp`,
    "--storage-driver=vfs",
    "--events-backend=none",
    "--cgroup-manager=cgroupfs",
  ];
  const env = { HOME: folder, XDG_RUNTIME_DIR: folder, TMPDIR: folder };
  return {
    run: (argv, options) => must("podman", [...common, ...argv], { ...options, env: { ...env, ...options?.env } }),
    try: (argv, options) => run("podman", [...common, ...argv], { ...options, env: { ...env, ...options?.env } }),
  };
}
