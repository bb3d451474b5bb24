import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import * as zlib from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Kbuild, kbuildWith, must } from "../support/command.ts";
import { readImage } from "../support/image-reader.ts";
import { unsound } from "../support/store-check.ts";
import { listing, plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const context = plant(path.join(folder, "context"), {
  Dockerfile: 'FROM scratch\nCOPY . /app\nUSER 1:2\nCMD ["/app/run"]\n',
  ".dockerignore": "Dockerfile\n.dockerignore\n",
  run: { text: "#!/bin/sh\n", mode: 0o755 },
  "docs/one.txt": "one\n",
  "docs/again": { link: "one.txt" },
});

const Outputs = suite<{ kbuild: Kbuild; id: string; digest: string }>("outputs");

Outputs.before(async (state) => {
  state.kbuild = kbuildWith(path.join(folder, "store"));
  await state.kbuild.must([
    "-q",
    "-t",
    "out:1",
    "--iidfile",
    `${folder}/iid`,
    "--metadata-file",
    `${folder}/meta`,
    context,
  ]);
  state.id = fs.readFileSync(`${folder}/iid`, "utf8");
  state.digest =
    (JSON.parse(fs.readFileSync(`${folder}/meta`, "utf8")) as Record<string, string>)["containerimage.digest"] ?? "";
});

/** Unpacks a tar; gives the folder. */
async function unpack(file: string): Promise<string> {
  const dest = `${file}.d`;
  fs.mkdirSync(dest);
  await must("tar", ["xf", file, "-C", dest]);
  return dest;
}

async function sameImage(layout: string, state: { digest: string; kbuild: Kbuild }): Promise<void> {
  const index = JSON.parse(fs.readFileSync(path.join(layout, "index.json"), "utf8")) as {
    manifests: { digest: string }[];
  };
  assert.is(index.manifests.length, 1);
  const image = await readImage(layout, index.manifests[0]?.digest ?? "");
  const own = await readImage(state.kbuild.root, state.digest);
  assert.equal(image.config, own.config);
  assert.equal([...image.tree.keys()], [...own.tree.keys()]);
}

Outputs(
  "--iidfile holds the image ID without a line end, --metadata-file docker's keys",
  async ({ id, digest, kbuild }) => {
    assert.match(id, /^sha256:[0-9a-f]{64}$/);
    const metadata = JSON.parse(fs.readFileSync(`${folder}/meta`, "utf8")) as Record<string, unknown>;
    assert.is(metadata["containerimage.config.digest"], id);
    assert.is(metadata["image.name"], "docker.io/library/out:1");
    const descriptor = metadata["containerimage.descriptor"] as { digest: string; size: number; mediaType: string };
    assert.is(descriptor.digest, digest);
    assert.is(descriptor.size, fs.statSync(path.join(kbuild.root, "blobs/sha256", digest.slice(7))).size);
  },
);

Outputs("type=docker is an OCI layout and a docker archive over the same blobs", async (state) => {
  const file = path.join(folder, "docker.tar");
  await state.kbuild.must(["-q", "-t", "out:1", "-o", `type=docker,dest=${file}`, context]);
  const dest = await unpack(file);
  await sameImage(dest, state);
  const [entry] = JSON.parse(fs.readFileSync(path.join(dest, "manifest.json"), "utf8")) as [
    { Config: string; RepoTags: string[]; Layers: string[] },
  ];
  assert.equal(entry.RepoTags, ["out:1"]);
  assert.is(entry.Config, `blobs/sha256/${state.id.slice(7)}`);
  for (const layer of entry.Layers) assert.ok(fs.existsSync(path.join(dest, layer)), layer);
});

Outputs("type=oci is an OCI layout, as a tar or as a folder", async (state) => {
  const file = path.join(folder, "oci.tar");
  await state.kbuild.must(["-q", "-o", `type=oci,dest=${file}`, context]);
  await sameImage(await unpack(file), state);
  const dest = path.join(folder, "oci-folder");
  await state.kbuild.must(["-q", "-o", `type=oci,tar=false,dest=${dest}`, context]);
  await sameImage(dest, state);
});

Outputs("an archive is the same, byte for byte, when it is written again", async ({ kbuild }) => {
  const sums = [];
  for (const name of ["a.tar", "b.tar"]) {
    const file = path.join(folder, name);
    await kbuild.must(["-q", "-t", "out:1", "-o", `type=docker,dest=${file}`, context]);
    sums.push(crypto.createHash("sha256").update(fs.readFileSync(file)).digest("hex"));
  }
  assert.is(sums[0], sums[1]);
});

Outputs("an archive can go to standard output, and nothing else does", async ({ kbuild }) => {
  for (const output of ["type=docker,dest=-", "type=oci", "type=tar,dest=-", "-"]) {
    const { bytes, stderr } = await kbuild.must(["--progress=plain", "-o", output, context]);
    const file = path.join(folder, `stdout-${output.replace(/\W/g, "")}.tar`);
    fs.writeFileSync(file, bytes);
    const dest = await unpack(file);
    assert.ok(
      fs.existsSync(path.join(dest, output.includes("oci") || output.includes("docker") ? "index.json" : "app/run")),
      output,
    );
    assert.ok(stderr.length > 0, "progress goes to standard error");
  }
});

Outputs("type=tar holds the files of the image", async ({ kbuild }) => {
  const file = path.join(folder, "files.tar");
  await kbuild.must(["-q", "-o", `type=tar,dest=${file}`, context]);
  const { stdout } = await must("tar", ["tvf", file, "--numeric-owner"]);
  assert.match(stdout, /^-rwxr-xr-x 0\/0 +10 .* app\/run$/m);
  assert.match(stdout, /^lrwxrwxrwx 0\/0 +0 .* app\/docs\/again -> one\.txt$/m);
});

Outputs("type=local puts the files of the image into a folder, also as -o FOLDER", async ({ kbuild }) => {
  for (const output of ["type=local,dest=", ""]) {
    const dest = path.join(folder, `local${output.length}`);
    await kbuild.must(["-q", "-o", `${output}${dest}`, context]);
    assert.equal(listing(dest), ["app/", "app/docs/", "app/docs/again 7", "app/docs/one.txt 4", "app/run 10"]);
    assert.is(fs.statSync(path.join(dest, "app/run")).mode & 0o777, 0o755);
    assert.is(fs.readlinkSync(path.join(dest, "app/docs/again")), "one.txt");
  }
});

Outputs("an output to a link goes to what it leads to, and one to a pipe through it", async ({ kbuild }) => {
  const [real, link] = [path.join(folder, "real.tar"), path.join(folder, "link.tar")];
  fs.writeFileSync(real, "old");
  fs.symlinkSync("real.tar", link);
  await kbuild.must(["-q", "-o", `type=docker,dest=${link}`, context]);
  assert.ok(fs.lstatSync(link).isSymbolicLink());
  await must("tar", ["tf", real]);
  const pipe = path.join(folder, "pipe.tar");
  await must("mkfifo", [pipe]);
  const reading = must("sh", ["-c", `tar tf ${pipe}`]);
  await kbuild.must(["-q", "-o", `type=docker,dest=${pipe}`, context]);
  assert.match((await reading).stdout, /^manifest\.json$/m);
});

Outputs("several outputs come from one build", async ({ kbuild }) => {
  const [tar, local] = [path.join(folder, "several.tar"), path.join(folder, "several")];
  await kbuild.must([
    "-q",
    "-t",
    "several:1",
    "-o",
    `type=docker,dest=${tar}`,
    "-o",
    `type=local,dest=${local}`,
    "-o",
    "type=image",
    context,
  ]);
  assert.ok(fs.existsSync(tar) && fs.existsSync(path.join(local, "app/run")));
  assert.match((await kbuild.must(["image", "ls", "several"])).stdout, /several +1/);
});

Outputs("layers are compressed as asked, and always to the same bytes", async ({ kbuild }) => {
  const seen = new Map<string, string>();
  for (const [compression, kind] of [
    ["gzip", "tar+gzip"],
    ["zstd", "tar+zstd"],
    ["uncompressed", "tar"],
  ] as const) {
    for (const round of ["1", "2"]) {
      const dest = path.join(folder, `${compression}${round}`);
      await kbuild.must(["-q", "-o", `type=oci,tar=false,dest=${dest},compression=${compression}`, context]);
      const index = JSON.parse(fs.readFileSync(path.join(dest, "index.json"), "utf8")) as {
        manifests: { digest: string }[];
      };
      const digest = index.manifests[0]?.digest ?? "";
      const manifest = JSON.parse(fs.readFileSync(path.join(dest, "blobs/sha256", digest.slice(7)), "utf8")) as {
        layers: { mediaType: string; digest: string }[];
      };
      assert.is(manifest.layers[0]?.mediaType, `application/vnd.oci.image.layer.v1.${kind}`);
      assert.is(seen.get(compression) ?? digest, digest, `${compression} is deterministic`);
      seen.set(compression, digest);
      const blob = fs.readFileSync(path.join(dest, "blobs/sha256", manifest.layers[0]?.digest.slice(7) ?? ""));
      if (compression === "gzip") zlib.gunzipSync(blob);
    }
  }
});

Outputs("what cannot be written is said, and nothing half-written stays", async ({ kbuild }) => {
  const missing = path.join(folder, "no/such/folder/x.tar");
  const done = await kbuild.run(["-q", "-o", `type=docker,dest=${missing}`, context]);
  assert.is.not(done.status, 0);
  assert.ok(done.stderr.includes("no/such/folder"), done.stderr);
  for (const output of ["type=nothing", "type=docker,dset=x", "type=tar", "type=local"]) {
    const wrong = await kbuild.run(["-q", "-o", output, context]);
    if (output === "type=tar") continue; // standard output
    assert.is(wrong.status, 2, `${output}: ${wrong.stderr}`);
  }
  assert.equal(await unsound(kbuild.root), []);
});

Outputs.run();
