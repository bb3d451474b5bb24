import * as fs from "node:fs";
import * as path from "node:path";
import { has, must, run } from "../../support/command.ts";
import { remove } from "../../support/workspace.ts";
import { commonOptions } from "../build.ts";
import { writeFiles } from "../files.ts";
import type { Golden } from "../golden.ts";
import { builtOf, type Outcome } from "../outcome.ts";
import { lackOf } from "./abilities.ts";
import { readDockerArchive } from "./docker-archive.ts";
import type { Peer } from "./peer.ts";

/** Debian's buildah, installed where there is none, with a store below `folder`; `base` is a docker archive of the image `busybox`. */
export async function openBuildah(folder: string, base: string): Promise<Peer> {
  if (!has("buildah")) {
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await must("apt-get", ["install", "-y", "--no-install-recommends", "buildah"], { env, timeout: 600_000 });
  }
  const store = ["--root", path.join(folder, "root"), "--runroot", path.join(folder, "run"), "--storage-driver", "vfs"];
  const buildah = (argv: readonly string[]) => must("buildah", [...store, ...argv]);
  await buildah(["pull", "-q", `docker-archive:${base}`]).then(({ stdout }) =>
    buildah(["tag", stdout.trim(), "localhost/busybox"]),
  );
  let count = 0;

  const build = (context: string, dockerfile: string, tag: string, options: readonly string[]) => {
    const fixed = ["--layers=false", "--isolation=chroot", "--pull-never", "--no-hosts"];
    return run("buildah", [...store, "bud", ...fixed, "-t", tag, "-f", dockerfile, ...options, context]);
  };

  return {
    name: "buildah",
    cannotExpress: (golden) => lackOf("buildah", golden),
    async build(golden: Golden, place: string): Promise<Outcome> {
      const context = await writeFiles(path.join(place, "context"), { ...golden.files, Dockerfile: golden.dockerfile });
      for (const [number, [name, text]] of Object.entries(golden.parents ?? {}).entries()) {
        const dockerfile = path.join(place, `parent-${number}`);
        fs.writeFileSync(dockerfile, text);
        const done = await build(context, dockerfile, `localhost/${name}`, ["--format=docker"]);
        if (done.status !== 0) throw new Error(`buildah cannot build ${name}: ${done.stderr}`);
      }
      const tag = `localhost/golden:${count++}`;
      const options = ["--format=docker", ...commonOptions(golden, place)];
      const done = await build(context, path.join(context, "Dockerfile"), tag, options);
      if (done.status !== 0) return { fails: "-", code: done.stderr };
      const archive = path.join(place, "image.tar");
      await buildah(["push", "-q", tag, `docker-archive:${archive}:${tag}`]);
      return builtOf(await readDockerArchive(fs.readFileSync(archive)));
    },
    close: async () => remove(folder),
  };
}
