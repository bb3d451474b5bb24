import * as fs from "node:fs";
import * as path from "node:path";
import { run } from "../../support/command.ts";
import { type Dockerd, startDockerd } from "../../support/dockerd.ts";
import type { ReadImage } from "../../support/image-reader.ts";
import { commonOptions } from "../build.ts";
import { writeFiles } from "../files.ts";
import type { Golden } from "../golden.ts";
import { builtOf, type Outcome } from "../outcome.ts";
import { lackOf } from "./abilities.ts";
import { readDockerArchive } from "./docker-archive.ts";
import type { Peer } from "./peer.ts";

// Debian's client of the daemon's own age: newer ones build only through a plugin.
const CLIENT = "/usr/bin/docker";

/** The BuildKit in Debian's docker.io, in a daemon of its own; `base` is a docker archive of the image `busybox`. */
export async function openBuildkit(base: string): Promise<Peer> {
  const daemon = await startDockerd();
  const env = { DOCKER_HOST: daemon.host, DOCKER_BUILDKIT: "1", BUILDKIT_PROGRESS: "plain" };
  await daemon.run(["load", "-i", base]);
  let count = 0;

  const build = (context: string, dockerfile: string, tag: string, options: readonly string[]) =>
    run(CLIENT, ["build", "--network=host", "-t", tag, "-f", dockerfile, ...options, context], { env });

  return {
    name: "buildkit20",
    cannotExpress: (golden) => lackOf("buildkit20", golden),
    async build(golden: Golden, folder: string): Promise<Outcome> {
      const context = await writeFiles(path.join(folder, "context"), {
        ...golden.files,
        Dockerfile: golden.dockerfile,
      });
      for (const [number, [name, text]] of Object.entries(golden.parents ?? {}).entries()) {
        const dockerfile = path.join(folder, `parent-${number}`);
        fs.writeFileSync(dockerfile, text);
        const done = await build(context, dockerfile, name, []);
        if (done.status !== 0) throw new Error(`docker cannot build ${name}: ${done.stderr}`);
      }
      const tag = `golden:${count++}`;
      const done = await build(context, path.join(context, "Dockerfile"), tag, commonOptions(golden, folder));
      if (done.status !== 0) {
        // A daemon that died would fail whatever should fail.
        await daemon.run(["version"]);
        return { fails: placeOf(done.stderr), code: done.stderr };
      }
      const image = await imageOf(daemon, tag);
      await daemon.run(["rmi", tag]);
      return builtOf(image);
    },
    close: () => daemon.stop(),
  };
}

/** An image without layers cannot be saved; what it has can be asked for. */
async function imageOf(daemon: Dockerd, tag: string): Promise<Pick<ReadImage, "config" | "tree">> {
  const [told] = JSON.parse((await daemon.run(["image", "inspect", tag])).stdout);
  if (told.RootFS.Layers?.length > 0) return readDockerArchive((await daemon.run(["save", tag])).bytes);
  const { Architecture: architecture, Os: os, Config: config, Author: author } = told;
  return { config: { architecture, os, config, author, rootfs: { type: "layers", diff_ids: [] } }, tree: new Map() };
}

function placeOf(output: string): string {
  const line = /^Dockerfile:(\d+)$|parse error line (\d+)/m.exec(output);
  return line === null ? "-" : `Dockerfile:${line[1] ?? line[2]}`;
}
