import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith, run } from "../support/command.ts";
import { listing, plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
const context = plant(path.join(folder, "context"), {
  Dockerfile: [
    "FROM --platform=$BUILDPLATFORM scratch AS build",
    "ARG TARGETARCH",
    "COPY <<EOF /common",
    "common",
    "EOF",
    "FROM scratch",
    "ARG TARGETPLATFORM",
    "COPY --from=build /common /",
    "COPY <<EOF /platform",
    "$TARGETPLATFORM",
    "EOF",
    "",
  ].join("\n"),
});
const BOTH = ["--platform", "linux/amd64,linux/arm64"];

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
}
interface Index {
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

const json = <T>(text: string | Buffer): T => JSON.parse(text.toString()) as T;

/** The raw document that skopeo finds. */
async function raw(reference: string): Promise<Index & { readonly annotations?: Readonly<Record<string, string>> }> {
  const done = await run("skopeo", ["inspect", "--raw", reference]);
  assert.is(done.status, 0, done.stderr);
  return json(done.stdout);
}

const Platforms = suite("several platforms in one build");

Platforms("the result is an index that skopeo takes, with an image for each", async () => {
  const archive = path.join(folder, "both.tar");
  const metadata = path.join(folder, "both.json");
  await kbuild.must([
    ...["-q", "-t", "both:1", ...BOTH, "--metadata-file", metadata],
    ...["-o", "type=image", "-o", `type=oci,dest=${archive}`, context],
  ]);
  const index = await raw(`oci-archive:${archive}:both:1`);
  assert.equal(
    index.manifests.map(({ platform }) => platform),
    [
      { os: "linux", architecture: "amd64" },
      { os: "linux", architecture: "arm64" },
    ],
  );
  const facts = json<Record<string, unknown>>(fs.readFileSync(metadata));
  assert.is((facts["containerimage.descriptor"] as Descriptor).mediaType, "application/vnd.oci.image.index.v1+json");
  assert.not.ok("containerimage.config.digest" in facts, "an index has no config");
  for (const architecture of ["amd64", "arm64"]) {
    const copied = path.join(folder, `copied-${architecture}`);
    const done = await run("skopeo", [
      ...["--insecure-policy", "--override-arch", architecture, "copy"],
      ...[`oci-archive:${archive}:both:1`, `oci:${copied}:x`],
    ]);
    assert.is(done.status, 0, done.stderr);
    const root = path.join(folder, `root-${architecture}`);
    const unpacked = await run("umoci", ["raw", "unpack", "--rootless", "--image", `${copied}:x`, root]);
    assert.is(unpacked.status, 0, unpacked.stderr);
    assert.is(fs.readFileSync(path.join(root, "platform"), "utf8"), `linux/${architecture}\n`);
  }
  const listed = await kbuild.must(["image", "ls"]);
  assert.match(listed.stdout, /^both +1 /m);
  await kbuild.must(["fsck"]);
});

Platforms("what is saved has all platforms, as the build's own archive has", async () => {
  const built = path.join(folder, "built.tar");
  await kbuild.must(["-q", "-t", "saved:1", ...BOTH, "-o", "type=image", "-o", `type=oci,dest=${built}`, context]);
  const saved = path.join(folder, "saved.tar");
  await kbuild.must(["save", "-o", saved, "saved:1"]);
  const members = async (archive: string) => (await run("tar", ["-tvf", archive])).stdout;
  assert.is(await members(saved), await members(built));
  assert.equal(await raw(`oci-archive:${saved}:saved:1`), await raw(`oci-archive:${built}:saved:1`));
});

Platforms("a stage for the build platform is done once", async () => {
  const fresh = kbuildWith(path.join(folder, "once"));
  const done = await fresh.must(["--progress=plain", ...BOTH, context]);
  assert.is([...done.stderr.matchAll(/build 1\/1\] COPY <<EOF \/common\n#\d+ why/g)].length, 1, done.stderr);
  assert.match(done.stderr, /\[linux\/arm64 build 1\/1\] COPY <<EOF \/common/);
});

Platforms("the same index comes of the same input", async () => {
  const ids = await Promise.all(
    ["a", "b"].map(async (name) => {
      const one = kbuildWith(path.join(folder, `same-${name}`));
      return (await one.must(["-q", ...BOTH, context], { env: { SOURCE_DATE_EPOCH: "1" } })).stdout;
    }),
  );
  assert.is(ids[0], ids[1]);
});

Platforms("files go into a folder for each", async () => {
  const dest = path.join(folder, "files");
  await kbuild.must(["-q", ...BOTH, "-o", dest, context]);
  const expected = ["linux_amd64/", "linux_amd64/common 7", "linux_amd64/platform 12"];
  assert.equal(listing(dest), [...expected, ...expected.map((line) => line.replace("amd64", "arm64"))]);
  const archive = path.join(folder, "files.tar");
  await kbuild.must(["-q", ...BOTH, "-o", `type=tar,dest=${archive}`, context]);
  const listed = await run("tar", ["-tf", archive]);
  assert.equal(listed.stdout.trim().split("\n"), [
    ...["linux_amd64/", "linux_amd64/common", "linux_amd64/platform"],
    ...["linux_arm64/", "linux_arm64/common", "linux_arm64/platform"],
  ]);
  const split = path.join(folder, "split");
  await kbuild.must(["-q", "--platform=linux/arm64", "-o", `type=local,dest=${split},platform-split=true`, context]);
  assert.equal(listing(split), ["linux_arm64/", "linux_arm64/common 7", "linux_arm64/platform 12"]);
});

Platforms("annotations are where they are asked for, and nowhere else", async () => {
  const archive = path.join(folder, "annotated.tar");
  await kbuild.must([
    ...["-q", "-t", "annotated:1", ...BOTH, "-o", `type=oci,dest=${archive}`],
    ...["--annotation", "plain=1", "--annotation", "index:i=2", "--annotation", "index,manifest:both=3"],
    ...["--annotation", "manifest[linux/arm64]:only=4", "--annotation", "manifest-descriptor:d=5"],
    ...["--annotation", "index-descriptor:top=6", context],
  ]);
  const layout = path.join(folder, "annotated");
  fs.mkdirSync(layout);
  assert.is((await run("tar", ["-xf", archive, "-C", layout])).status, 0);
  const blob = <T>({ digest }: Descriptor): T =>
    json(fs.readFileSync(path.join(layout, "blobs/sha256", digest.slice(7))));
  const [top] = json<Index>(fs.readFileSync(path.join(layout, "index.json"))).manifests;
  assert.ok(top);
  assert.is(top.annotations?.top, "6");
  const index = blob<Index>(top);
  assert.equal(index.annotations, { i: "2", both: "3" });
  const [amd64, arm64] = index.manifests;
  assert.ok(amd64 && arm64);
  assert.equal(amd64.annotations, { d: "5" });
  assert.equal(blob<Index>(amd64).annotations, { plain: "1", both: "3" });
  assert.equal(blob<Index>(arm64).annotations, { plain: "1", both: "3", only: "4" });
});

Platforms("an image of one platform has annotations as well, and is built anew by none", async () => {
  const archive = path.join(folder, "one.tar");
  const plain = await kbuild.must(["-q", context]);
  const annotated = await kbuild.must([
    ...["-q", "-t", "one:1", "-o", `type=oci,dest=${archive}`, "--annotation", "a=b=c", context],
  ]);
  assert.is(annotated.stdout, plain.stdout, "the config, and so the image ID, is the same");
  assert.equal((await raw(`oci-archive:${archive}:one:1`)).annotations, { a: "b=c" });
});

for (const [name, argv, expected] of [
  ["an archive for docker", ["-o", "type=docker,dest=x.tar", ...BOTH], /one platform/],
  ["an annotation of an index where there is none", ["--annotation", "index:a=b"], /makes none/],
  ["an annotation of a platform that is not built", ["--annotation", "manifest[linux/s390x]:a=b"], /not built/],
  ["an annotation of an unknown level", ["--annotation", "manifst:a=b"], /no level manifst.*\n.*did you mean manifest/],
  ["an annotation without a key", ["--annotation", "=b"], /KEY=VALUE/],
  [
    "files of several platforms in one folder",
    [...BOTH, "-o", "type=local,dest=x,platform-split=false"],
    /platform-split/,
  ],
] as const) {
  Platforms(`${name} is refused`, async () => {
    const done = await kbuild.run([...argv, context]);
    assert.is(done.status, 2, done.stderr);
    assert.match(done.stderr, expected);
  });
}

Platforms.run();
