import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

let found: string | undefined;

/**
 * The docker client of PATH that can also speak to BuildKit: one before version 23, which has that built in, or one with
 * the buildx plugin. Where none can, the first one, for dockerd's own builder.
 */
export function dockerClient(): string {
  found ??= search();
  return found;
}

function search(): string {
  const clients = (process.env.PATH ?? "")
    .split(":")
    .map((folder) => path.join(folder, "docker"))
    .filter((file) => fs.existsSync(file));
  return clients.find(speaksBuildkit) ?? clients[0] ?? "docker";
}

function speaksBuildkit(client: string): boolean {
  const printed = spawnSync(client, ["--version"], { encoding: "utf8" }).stdout;
  const major = Number(/^Docker version (\d+)\./.exec(printed)?.[1] ?? Number.NaN);
  return major < 23 || spawnSync(client, ["buildx", "version"]).status === 0;
}
