import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeBase } from "../conformance/base.ts";
import { available, has, kbuildWith, must } from "../support/command.ts";
import { plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
const base = path.join(folder, "busybox");
await writeBase(base);
const context = plant(path.join(folder, "context"), {
  Dockerfile:
    'FROM busybox\nENV GREETING=hello\nLABEL a=1\nWORKDIR /app\nCOPY --chown=12:34 . .\nCMD ["sh", "-c", "cat *.txt"]\n',
  "a.txt": "hello from a file\n",
  [`${"long/".repeat(40)}name.txt`]: "deep\n",
  again: { link: "a.txt" },
});

interface Written {
  readonly type: string;
  /** As skopeo calls it. */
  readonly transport: string;
  readonly file: string;
}
const outputs: Written[] = [];

const Tools = suite("other tools take what kbuild writes");

Tools.before(async () => {
  for (const [type, options, transport] of [
    ["docker", "", "docker-archive"],
    ["docker-gzip", ",compression=gzip", "docker-archive"],
    ["oci", "", "oci-archive"],
    ["oci-gzip", ",compression=gzip", "oci-archive"],
    ["oci-zstd", ",compression=zstd", "oci-archive"],
    ["oci-folder", ",tar=false", "oci"],
  ] as const) {
    const file = path.join(folder, `${type}${type.endsWith("folder") ? "" : ".tar"}`);
    const kind = type.split("-")[0];
    await kbuild.must([
      "-q",
      "-t",
      "tools:1",
      "--build-context",
      `busybox=oci-layout://${base}`,
      "-o",
      `type=${kind},dest=${file}${options}`,
      context,
    ]);
    outputs.push({ type, transport, file });
  }
});

Tools("skopeo reads each of them, and copies it with every digest checked", async () => {
  if (!available("skopeo", has("skopeo"))) return;
  for (const { type, transport, file } of outputs) {
    const name = `${transport}:${file}`;
    const inspected = JSON.parse((await must("skopeo", ["inspect", name])).stdout) as {
      Labels: Record<string, string>;
      Env: string[];
      Layers: string[];
    };
    assert.is(inspected.Labels.a, "1", type);
    assert.ok(inspected.Env.includes("GREETING=hello"), type);
    assert.is(inspected.Layers.length, 3, type);
    await must("skopeo", ["copy", "-q", "--insecure-policy", name, `oci:${folder}/copied-${type}:1`]);
  }
});

Tools("a type=docker archive is an OCI archive as well", async () => {
  if (!available("skopeo", has("skopeo"))) return;
  const [docker] = outputs;
  await must("skopeo", ["inspect", `oci-archive:${docker?.file}`]);
});

Tools("the store itself is an OCI layout", async () => {
  if (!available("skopeo", has("skopeo"))) return;
  await kbuild.must(["-q", "-t", "tools:2", "--build-context", `busybox=oci-layout://${base}`, context]);
  const index = JSON.parse(fs.readFileSync(path.join(kbuild.root, "index.json"), "utf8")) as {
    manifests: { annotations?: Record<string, string> }[];
  };
  const name = index.manifests
    .map((entry) => entry.annotations?.["org.opencontainers.image.ref.name"])
    .find((value) => value === "tools:2");
  assert.ok(name, JSON.stringify(index));
  await must("skopeo", ["inspect", `oci:${kbuild.root}:${name}`]);
});

Tools("umoci unpacks it to the files that were put in", async () => {
  if (!available("umoci and root", has("umoci") && process.getuid?.() === 0)) return;
  const layout = outputs.find(({ type }) => type === "oci-folder")?.file ?? "";
  // umoci wants a tag; the folder of an output has one only when skopeo made it.
  const tagged = path.join(folder, "tagged");
  await must("skopeo", ["copy", "-q", "--insecure-policy", `oci:${layout}`, `oci:${tagged}:1`]);
  const bundle = path.join(folder, "bundle");
  await must("umoci", ["unpack", "--image", `${tagged}:1`, bundle]);
  const app = path.join(bundle, "rootfs/app");
  assert.is(fs.readFileSync(path.join(app, "a.txt"), "utf8"), "hello from a file\n");
  assert.is(fs.readFileSync(path.join(app, "long/".repeat(40), "name.txt"), "utf8"), "deep\n");
  assert.is(fs.readlinkSync(path.join(app, "again")), "a.txt");
  const stat = fs.statSync(path.join(app, "a.txt"));
  assert.equal([stat.uid, stat.gid, stat.mode & 0o777], [12, 34, 0o644]);
  const config = JSON.parse(fs.readFileSync(path.join(bundle, "config.json"), "utf8")) as {
    process: { args: string[]; cwd: string };
  };
  assert.equal(config.process.args, ["sh", "-c", "cat *.txt"]);
  assert.is(config.process.cwd, "/app");
});

Tools("podman loads each archive", async () => {
  if (!available("podman and root", has("podman") && process.getuid?.() === 0)) return;
  const podman = [
    "--root",
    `${folder}/podman`,
    "--runroot",
    `${folder}/podman-run`,
    "--storage-driver",
    "vfs",
    "--cgroup-manager",
    "cgroupfs",
    "--events-backend",
    "none",
  ];
  const env = { HOME: folder };
  for (const { type, file } of outputs.filter(({ transport }) => transport !== "oci")) {
    await must("podman", [...podman, "load", "-q", "-i", file], { env });
    const { stdout } = await must("podman", [...podman, "images", "--format", "{{.Repository}}:{{.Tag}}"], { env });
    assert.match(stdout, /tools:1/, type);
    await must("podman", [...podman, "rmi", "-f", "tools:1"], { env });
  }
});

Tools.run();
