import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { PassThrough } from "node:stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { writeLayoutFolder } from "../../../src/oci/archive/folder.ts";
import { type ArchivedImage, planArchive } from "../../../src/oci/archive/plan.ts";
import { writeArchiveStream } from "../../../src/oci/archive/write.ts";
import type { Image } from "../../../src/oci/image.ts";
import { type ReplacedLayer, withLayers } from "../../../src/oci/image.ts";
import { imageHistory } from "../../../src/oci/images/history.ts";
import { inspectImage } from "../../../src/oci/images/inspect.ts";
import { listImages } from "../../../src/oci/images/list.ts";
import { planSave } from "../../../src/oci/images/save.ts";
import { openStore } from "../../../src/oci/layout/store.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { MediaType } from "../../../src/oci/types.ts";
import { available, has } from "../../support/command.ts";
import { type Dockerd, startDockerd } from "../../support/dockerd.ts";
import { sampleImage } from "../../support/sample-image.ts";
import { skopeo, skopeoConfig, skopeoInspect, startPodman, umociUnpack } from "../../support/tools.ts";
import { workspace } from "../../support/workspace.ts";

const folder = workspace("kbuild-archive");
const store = openStore(path.join(folder, "store"), { create: true });
const shell = "/bin/busybox";
const busybox = fs.existsSync(shell) ? fs.readFileSync(shell) : Buffer.from("no busybox");
const webPing = await sampleImage(store, [
  { files: { "bin/hello": busybox, "bin/sh": busybox }, gzip: true },
  { files: { "web-ping/app.js": "console.log('ping');\n" }, createdBy: "COPY app.js . # buildkit" },
]);
const other = await sampleImage(store, [{ files: { "bin/hello": busybox, "bin/sh": busybox }, gzip: true }], {
  config: { User: "1000:1000", ExposedPorts: { "80/tcp": {} }, Labels: { a: "b" }, Volumes: { "/data": {} } },
});
await store.tag([parseReference("web-ping:v2"), parseReference("quay.io/x/web-ping:1")], webPing.descriptor);
await store.tag([parseReference("other")], other.descriptor);

async function archive(name: string, ...images: [Image, ...string[]][]): Promise<string> {
  const planned = images.map(
    ([image, ...names]): ArchivedImage => ({ image, references: names.map((n) => parseReference(n)) }),
  );
  const file = path.join(folder, name);
  await writeArchiveStream(planArchive(planned), fs.createWriteStream(file));
  return file;
}

const one = await archive("one.tar", [webPing, "web-ping:v2"]);
const two = await archive("two.tar", [webPing, "web-ping:v2", "quay.io/x/web-ping:1"], [other, "other"]);
const unnamed = await archive("unnamed.tar", [webPing]);

const test = suite("archive");

test("has every blob once, sorted, without times and names", () => {
  const lines = execFileSync("tar", ["tvf", two, "--full-time", "--utc"], { encoding: "utf8" }).trim().split("\n");
  const names = lines.map((line) => line.slice(line.lastIndexOf(" ") + 1));
  assert.is(new Set(names).size, names.length);
  assert.is(names.length, 3 + 2 * 2 + 2);
  assert.equal(names.slice(-3), ["index.json", "manifest.json", "oci-layout"]);
  assert.equal(names, [...names].sort());
  for (const line of lines) assert.match(line, /^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00:00 /);
});

test("is the same bytes every time", async () => {
  const again = await archive("again.tar", [webPing, "web-ping:v2"]);
  assert.ok(fs.readFileSync(one).equals(fs.readFileSync(again)));
});

test("ends with an error that says why when a layer is missing", async () => {
  const members = planArchive([{ image: webPing, references: [] }]);
  const broken = members.map((member) => ("path" in member ? { ...member, path: `${member.path}-gone` } : member));
  const sink = new PassThrough();
  sink.resume();
  try {
    await writeArchiveStream(broken, sink);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, KbuildError);
    assert.is((error as KbuildError).code, "machine.storeDamaged");
    assert.match((error as KbuildError).message, /-gone is missing$/);
  }
});

test("ends with an error when its reader goes away, and when it is interrupted", async () => {
  const members = planArchive([{ image: webPing, references: [] }]);
  for (const code of ["machine.brokenPipe", "interrupted"]) {
    const sink = new PassThrough();
    const controller = new AbortController();
    const writing = writeArchiveStream(members, sink, { signal: controller.signal });
    setTimeout(() => (code === "interrupted" ? controller.abort() : sink.destroy()), 20);
    try {
      await writing;
      assert.unreachable();
    } catch (error) {
      assert.is((error as KbuildError).code, code);
    }
  }
});

if (available("skopeo", has("skopeo"))) {
  for (const [what, name] of [
    ["docker-archive", `docker-archive:${one}`],
    ["docker-archive with one of two names", `docker-archive:${two}:quay.io/x/web-ping:1`],
    ["docker-archive without a name", `docker-archive:${unnamed}`],
    ["oci-archive", `oci-archive:${one}`],
    ["oci-archive by name", `oci-archive:${two}:web-ping:v2`],
    ["oci-archive by a name with a host", `oci-archive:${two}:quay.io/x/web-ping:1`],
    ["oci-archive without a name", `oci-archive:${unnamed}`],
    ["the store itself", `oci:${store.root}:web-ping:v2`],
  ] as const) {
    test(`skopeo reads it as ${what}`, async () => {
      const config = await skopeoConfig(name);
      assert.equal(config.rootfs, { type: "layers", diff_ids: webPing.config.rootfs.diff_ids });
      if (!what.startsWith("docker")) assert.is((await skopeoInspect(name)).Digest, webPing.descriptor.digest);
      const target = path.join(folder, `copied-${what.replaceAll(" ", "-")}`);
      await skopeo("copy", name, `dir:${target}`);
    });
  }
}

if (available("umoci", has("umoci"))) {
  test("umoci unpacks the folder form, and the store itself", async () => {
    const layout = path.join(folder, "layout");
    await writeLayoutFolder(planArchive([{ image: webPing, references: [parseReference("web-ping:v2")] }]), layout);
    for (const each of [layout, store.root]) {
      const rootfs = await umociUnpack(each, "web-ping:v2");
      assert.is(fs.readFileSync(path.join(rootfs, "web-ping/app.js"), "utf8"), "console.log('ping');\n");
    }
  });
}

if (available("podman", has("podman"))) {
  test("podman load takes it under its name", async () => {
    const podman = startPodman();
    assert.match((await podman.run(["load", "-i", one])).stdout, /Loaded image: docker.io\/library\/web-ping:v2/);
    await podman.run(["load", "-i", two]);
    const images = (await podman.run(["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"])).stdout;
    assert.match(images, `docker.io/library/web-ping:v2 ${webPing.id}`);
    assert.match(images, `quay.io/x/web-ping:1 ${webPing.id}`);
    assert.match(images, `other:latest ${other.id}`);
  });
}

const dockerd: Dockerd | undefined = available("root and dockerd", process.getuid?.() === 0)
  ? await startDockerd()
  : undefined;
if (dockerd !== undefined) {
  test.after(() => dockerd.stop());

  test("docker load takes it under its names, and the image ID is the same", async () => {
    const loaded = (await dockerd.run(["load", "-i", two])).stdout;
    assert.match(loaded, "Loaded image: web-ping:v2");
    assert.match(loaded, "Loaded image: quay.io/x/web-ping:1");
    assert.match(loaded, "Loaded image: other:latest");
    const id = (await dockerd.run(["image", "inspect", "--format", "{{.Id}}", "web-ping:v2"])).stdout.trim();
    assert.is(id, webPing.id);
  });

  test("docker load takes one without a name", async () => {
    assert.match((await dockerd.run(["load", "-i", unnamed])).stdout, `Loaded image ID: ${webPing.id}`);
  });

  test("docker save of what was loaded, loaded into skopeo, has the same config", async () => {
    const saved = path.join(folder, "saved-by-docker.tar");
    await dockerd.run(["save", "-o", saved, "web-ping:v2"]);
    assert.equal(await skopeoConfig(`docker-archive:${saved}`), await skopeoConfig(`oci-archive:${one}`));
  });

  test("a loaded image runs", async () => {
    if (!available("a static /bin/busybox", fs.existsSync(shell))) return;
    const argv = ["run", "--rm", "--network=none", "web-ping:v2", "/bin/sh", "-c", "pwd; cat app.js"];
    assert.is((await dockerd.run(argv)).stdout, "/web-ping\nconsole.log('ping');\n");
  });

  test("docker load takes layers that were compressed otherwise", async () => {
    const layers = await Promise.all(
      webPing.layers.map(async ({ path: file }, number): Promise<ReplacedLayer> => {
        const tar = number === 0 ? execFileSync("gzip", ["-dc", file], { maxBuffer: 1 << 28 }) : fs.readFileSync(file);
        const descriptor = store.writeBlob(tar, MediaType.ociLayer);
        return { descriptor, path: store.blobPath(descriptor.digest) };
      }),
    );
    const plain = withLayers(webPing, layers);
    assert.is(plain.id, webPing.id);
    const file = await archive("plain.tar", [plain, "plain"]);
    assert.match((await dockerd.run(["load", "-i", file])).stdout, "Loaded image: plain:latest");
    const id = (await dockerd.run(["image", "inspect", "--format", "{{.Id}}", "plain"])).stdout.trim();
    assert.is(id, webPing.id);
  });

  test("inspect says what docker's says", async () => {
    await dockerd.run(["load", "-i", two]);
    for (const name of ["web-ping:v2", "other"]) {
      const [theirs] = JSON.parse((await dockerd.run(["image", "inspect", name])).stdout);
      const ours = JSON.parse(JSON.stringify(await inspectImage(store, name)));
      // The daemon's inside, what later versions of docker gave up, and what depends on other tests.
      for (const member of ["Container", "ContainerConfig", "VirtualSize", "GraphDriver", "RepoDigests", "RepoTags"]) {
        delete theirs[member];
      }
      for (const member of ["RepoDigests", "RepoTags", "Descriptor"]) delete ours[member];
      assert.equal(ours, theirs);
      assert.equal(Object.keys(ours.Config), Object.keys(theirs.Config));
    }
  });

  test("history says what docker's says", async () => {
    const format = "{{.ID}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
    const argv = ["history", "--no-trunc", "--human=false", "--format", format, "web-ping:v2"];
    const theirs = (await dockerd.run(argv)).stdout.trim().split("\n");
    const ours = (await imageHistory(store, "web-ping:v2")).map(
      ({ imageId, createdBy, size, comment }) => `${imageId ?? "<missing>"}\t${createdBy}\t${size}\t${comment}`,
    );
    assert.equal(ours, theirs);
  });

  for (const pattern of [
    "w*",
    "web-ping",
    "web-ping:v*",
    "quay.io/*",
    "quay.io/*/*",
    "o[a-t]her",
    "o[^t]her",
    "*",
    "?ther",
  ]) {
    test(`image ls '${pattern}' lists what docker's lists`, async () => {
      const argv = ["image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", pattern];
      const theirs = (await dockerd.run(argv)).stdout
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("plain:"));
      const listed = await listImages(store, { reference: pattern });
      const ours = listed.map(({ repository, tag, imageId }) => `${repository}:${tag} ${imageId}`);
      assert.equal(ours.sort(), theirs.sort());
    });
  }

  for (const names of [
    ["web-ping:v2"],
    ["web-ping"],
    ["web-ping:v2", "other"],
    [webPing.id],
    [webPing.id, "web-ping:v2"],
  ]) {
    test(`save ${names.join(" ").slice(0, 40)} gives the images and names that docker's gives`, async () => {
      const saved = path.join(folder, "names.tar");
      await dockerd.run(["save", "-o", saved, ...names]);
      const theirs = JSON.parse(execFileSync("tar", ["xOf", saved, "manifest.json"], { encoding: "utf8" }));
      const member = planSave(store, names).find(({ name }) => name === "manifest.json");
      const ours = JSON.parse(Buffer.from(member && "bytes" in member ? member.bytes : []).toString());
      const shape = (list: { Config: string; RepoTags: string[] | null }[]): string[] =>
        list.map(({ Config, RepoTags }) => `${/[0-9a-f]{64}/.exec(Config)} ${RepoTags ?? ""}`).sort();
      assert.equal(shape(ours), shape(theirs));
    });
  }
}

test("a folder keeps the images that it had, and names move", async () => {
  const target = path.join(folder, "merged");
  await writeLayoutFolder(
    planArchive([{ image: webPing, references: [parseReference("a:1"), parseReference("b:1")] }]),
    target,
  );
  await writeLayoutFolder(planArchive([{ image: other, references: [parseReference("b:1")] }]), target);
  const { manifests } = JSON.parse(fs.readFileSync(path.join(target, "index.json"), "utf8"));
  const names = manifests.map((entry: { digest: string; annotations: Record<string, string> }) => [
    entry.annotations["org.opencontainers.image.ref.name"],
    entry.digest,
  ]);
  assert.equal(names, [
    ["a:1", webPing.descriptor.digest],
    ["b:1", other.descriptor.digest],
  ]);
  assert.equal(fs.readdirSync(target).sort(), ["blobs", "index.json", "oci-layout"]);
});

test.run();
