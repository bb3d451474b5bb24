import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Kbuild, kbuildWith } from "../support/command.ts";
import { type Dockerd, startDockerd } from "../support/dockerd.ts";
import { HOME, plant, workspace } from "../support/workspace.ts";

const folder = workspace();
/** What docker calls this machine's architecture. */
const MACHINE = process.arch === "x64" ? "amd64" : process.arch;
const example = path.join(HOME, "examples/web-ping");

/** A context whose image has this machine's node and the libraries that it needs. */
function nodeContext(): string {
  const context = plant(path.join(folder, "node"), {
    Dockerfile: 'FROM scratch\nCOPY root /\nENV PATH=/usr/bin:/bin\nENV NODE_VERSION=1\nCMD ["node"]\n',
    "root/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
  });
  const copy = (from: string, to = from): void => {
    fs.mkdirSync(path.join(context, "root", path.dirname(to)), { recursive: true });
    fs.copyFileSync(from, path.join(context, "root", to));
  };
  copy(process.execPath, "/usr/bin/node");
  for (const [library] of execFileSync("ldd", [process.execPath], { encoding: "utf8" }).matchAll(/\/\S+/g))
    copy(library);
  return context;
}

interface State {
  docker: Dockerd;
  kbuild: Kbuild;
}

const Docker = suite<State>("docker takes what kbuild makes, and sees the same in it");

Docker.before(async (state) => {
  state.docker = await startDockerd();
  state.kbuild = kbuildWith(path.join(folder, "store"));
  await state.kbuild.must(["-q", "-t", "diamol/node", nodeContext()]);
  await state.kbuild.must(["-q", "-t", "web-ping:v2", example]);
  await state.kbuild.must(["-q", "-t", "web-ping:v3", "-f", path.join(example, "Dockerfile.optimized"), example]);
  const saved = path.join(folder, "saved.tar");
  await state.kbuild.must(["save", "-o", saved, "web-ping:v2", "web-ping:v3"]);
  const loaded = await state.docker.run(["load", "-i", saved]);
  assert.match(loaded.stdout, /Loaded image: web-ping:v2\nLoaded image: web-ping:v3\n/);
});
Docker.after(async ({ docker }) => {
  await docker?.stop();
});

for (const name of ["web-ping:v2", "web-ping:v3"]) {
  Docker(`${name}: the same image ID, and the same history line for line`, async ({ docker, kbuild }) => {
    const format = "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}";
    for (const argv of [
      ["history", "--no-trunc", "--format", format, name],
      [
        "inspect",
        "--type",
        "image",
        "--format",
        "{{.Id}}|{{json .Config.Env}}|{{json .Config.Cmd}}|{{json .RootFS.Layers}}",
        name,
      ],
      ["image", "ls", "--no-trunc", "--format", "{{.Repository}}|{{.Tag}}|{{.ID}}|{{.Size}}", name],
    ]) {
      assert.is((await kbuild.must(argv)).stdout, (await docker.run(argv)).stdout, argv.join(" "));
    }
  });
}

Docker("what steps made, deleted and left alone is the same to docker", async ({ docker, kbuild }) => {
  const script = (text: string): string => `RUN ${JSON.stringify(["node", "-e", text])}\n`;
  const context = plant(path.join(folder, "steps"), {
    Dockerfile:
      "FROM diamol/node AS made\n" +
      script("fs.mkdirSync('/made'); fs.writeFileSync('/made/a', 'a'); fs.chownSync('/made/a', 12, 34)") +
      script("fs.writeFileSync('/made/b', 'b'); fs.chmodSync('/made/b', 0o4751)") +
      script("fs.rmSync('/made/a'); fs.linkSync('/made/b', '/made/c'); fs.symlinkSync('b', '/made/d')") +
      script("0"),
  });
  await kbuild.must(["-q", "-t", "steps:1", context]);
  const saved = path.join(folder, "steps.tar");
  await kbuild.must(["save", "-o", saved, "steps:1"]);
  await docker.run(["load", "-i", saved]);
  const format = ["history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Size}}", "steps:1"];
  const history = (await kbuild.must(format)).stdout;
  assert.is(history, (await docker.run(format)).stdout);
  assert.match(history.split("\n")[0] ?? "", /\|0B$/, "a step that changes nothing has no layer");
  const look =
    "for (const n of fs.readdirSync('/made')) { const s = fs.lstatSync('/made/' + n); " +
    "console.log(n, (s.mode & 0o7777).toString(8), s.uid, s.gid, s.nlink) }";
  const seen = await docker.run(["run", "--rm", "--network", "host", "steps:1", "node", "-e", look]);
  // A new name of a lower file is a file of its own, as BuildKit has it.
  assert.is(seen.stdout, "b 4751 0 0 1\nc 4751 0 0 1\nd 777 0 0 1\n");
});

for (const [output, compression] of [
  ["docker", ""],
  ["docker", ",compression=gzip"],
  ["docker", ",compression=zstd"],
  ["oci", ""],
] as const) {
  Docker(`an output of type=${output}${compression} is loaded`, async ({ docker, kbuild }) => {
    const name = `loaded-${output}${compression.replace(/\W/g, "")}:1`;
    const file = path.join(folder, `${name}.tar`);
    const built = await kbuild.must(["-q", "-t", name, "-o", `type=${output},dest=${file}${compression}`, example]);
    await docker.run(["load", "-i", file]);
    const { stdout } = await docker.run(["inspect", "--format", "{{.Id}}", name]);
    assert.is(stdout, built.stdout);
  });
}

Docker("an archive of several platforms is loaded as the image for this machine", async ({ docker, kbuild }) => {
  const archive = path.join(folder, "platforms.tar");
  const input = "FROM scratch\nARG TARGETARCH\nLABEL built-for=$TARGETARCH\nCOPY <<A /a\n$TARGETARCH\nA\n";
  const argv = ["-q", "-t", "platforms:1", "--platform", `linux/s390x,linux/${MACHINE}`, "--annotation", "index:a=b"];
  await kbuild.must([...argv, "-o", `type=oci,dest=${archive}`, "-"], { input });
  assert.match((await docker.run(["load", "-i", archive])).stdout, /Loaded image: platforms:1/);
  const format = '{{.Architecture}} {{index .Config.Labels "built-for"}}';
  assert.is((await docker.run(["inspect", "--format", format, "platforms:1"])).stdout, `${MACHINE} ${MACHINE}\n`);
});

Docker("a squashed image is the same to docker, with its history", async ({ docker, kbuild }) => {
  const archive = path.join(folder, "squashed.tar");
  const input = "FROM diamol/node\nCOPY <<A /one\n1\nA\nCOPY <<A /one\n2\nA\nCOPY <<A /two\n3\nA\n";
  await kbuild.must(
    ["-q", "-t", "squashed:1", "--squash", "-o", `type=docker,dest=${archive}`, "-o", "type=image", "-"],
    {
      input,
    },
  );
  await docker.run(["load", "-i", archive]);
  for (const argv of [
    ["history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}", "squashed:1"],
    ["inspect", "--type", "image", "--format", "{{.Id}}|{{json .RootFS.Layers}}", "squashed:1"],
  ]) {
    assert.is((await docker.run(argv)).stdout, (await kbuild.must(argv)).stdout, argv.join(" "));
  }
  const read = ["run", "--rm", "squashed:1", "node", "-p", 'fs.readFileSync("/one", "utf8")'];
  assert.is((await docker.run(read)).stdout, "2\n\n");
});

Docker("docker run pings a server with it, and takes its settings from the environment", async ({ docker }) => {
  const methods: string[] = [];
  const server = http.createServer((request, answer) => {
    methods.push(request.method ?? "");
    answer.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const argv = ["run", "-d", "--network", "host", "-e", `TARGET=${target}`, "-e", "INTERVAL=50", "-e", "METHOD=GET"];
    const id = (await docker.run([...argv, "web-ping:v2"])).stdout.trim();
    for (let tries = 0; methods.length < 3 && tries < 200; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const { stdout } = await docker.run(["logs", id]);
    await docker.run(["rm", "-f", id]);
    assert.ok(methods.length >= 3 && methods.every((method) => method === "GET"), `${methods}\n${stdout}`);
    assert.match(stdout, new RegExp(`^\\*\\* web-ping \\*\\* Pinging: ${target}; method: GET; 50ms intervals$`, "m"));
    assert.match(stdout, /^Making request number: 1; at \d+$/m);
    assert.match(stdout, /^Got response status: 200 at \d+; duration: \d+ms$/m);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

Docker.run();
