import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { EntryTable, EntryType } from "../../src/layers/entry-table.ts";
import { NativeClient } from "../../src/native/client.ts";
import type { ChangedTree, Diffed } from "../../src/native/sandbox-protocol.ts";
import { available, has, must } from "../support/command.ts";
import { workspace } from "../support/workspace.ts";

const Trees = suite("unpack, mark, diff, remove, move");
const folder = workspace("kbuild-trees");
const native = new NativeClient();
const isRoot = process.getuid?.() === 0;
const mounts: string[] = [];
Trees.after(async () => {
  for (const mount of mounts) await must("umount", ["-l", mount]);
  await native.close();
});

let made = 0;

/** A path in the workspace where nothing is yet. */
function fresh(): string {
  made += 1;
  return path.join(folder, `${made}`);
}

interface Layer {
  readonly blob: string;
  readonly index: string;
}

/** A layer that GNU tar made of a folder. */
async function layerOf(source: string, ...options: readonly string[]): Promise<Layer> {
  const [blob, index] = [fresh(), fresh()];
  await must("tar", ["-C", source, "--sort=name", "--mtime=@1000", ...options, "-cf", blob, "."]);
  await native.ingest({ input: blob, index, compression: "none" }, undefined);
  return { blob, index };
}

/** The root file system that the tests begin with. */
function root(): string {
  const tree = fresh();
  for (const each of ["etc", "usr/lib", "tmp", "old/deep"]) fs.mkdirSync(path.join(tree, each), { recursive: true });
  fs.chmodSync(path.join(tree, "tmp"), 0o1777);
  for (const [name, text] of Object.entries({
    "etc/passwd": "some users",
    "usr/lib/a": "1",
    "usr/lib/b": "2",
    "old/deep/x": "3",
  }))
    fs.writeFileSync(path.join(tree, name), text);
  fs.symlinkSync("usr/lib", path.join(tree, "lib"));
  return tree;
}

async function unpacked({ blob, index }: Layer, form: "layer" | "apply", output: string = fresh()): Promise<string> {
  await native.unpack({ blob: { path: blob, compression: "none" }, index, output, form, owners: "real" });
  return output;
}

/** Mounts an overlay over an unpacked layer; its upper directory and where it is to be seen. */
async function overlay(lower: string): Promise<{ readonly upper: string; readonly merged: string }> {
  const [upper, work, merged] = [fresh(), fresh(), fresh()];
  for (const each of [upper, work, merged]) fs.mkdirSync(each);
  const options = `userxattr,lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  await must("mount", ["-t", "overlay", "overlay", "-o", options, merged]);
  mounts.push(merged);
  return { upper, merged };
}

interface Difference extends Layer {
  readonly reply: Diffed;
}

async function diff(tree: ChangedTree, parents: readonly string[]): Promise<Difference> {
  const [blob, index] = [fresh(), fresh()];
  const request = { tree, parents, owners: "real", output: blob, index, temporary: folder, epoch: 5000 } as const;
  return { blob, index, reply: await native.diff(request) };
}

async function names(blob: string): Promise<readonly string[]> {
  return (await must("tar", ["--quoting-style=literal", "-tf", blob])).stdout.trimEnd().split("\n");
}

function change(tree: string): void {
  fs.writeFileSync(path.join(tree, "etc/new"), "new");
  fs.linkSync(path.join(tree, "etc/new"), path.join(tree, "usr/also-new"));
  fs.rmSync(path.join(tree, "old"), { recursive: true });
  fs.rmSync(path.join(tree, "usr/lib/a"));
  fs.chownSync(path.join(tree, "usr/lib/b"), 7, 8);
  fs.chmodSync(path.join(tree, "usr/lib/b"), 0o4755);
}

const CHANGES = [
  ".wh.old",
  "etc/",
  "etc/new",
  "usr/",
  "usr/also-new",
  "usr/lib/",
  "usr/lib/.wh.a",
  "usr/lib/b",
] as const;

if (available("root", isRoot)) {
  Trees("a step's changes become the same layer from an overlay and from a copy", async () => {
    const base = await layerOf(root());
    const { upper, merged } = await overlay(await unpacked(base, "layer"));
    const copy = await unpacked(base, "apply");
    const mark = fresh();
    const { entries } = await native.mark({ root: copy, output: mark });
    assert.is(entries, [...new EntryTable(fs.readFileSync(base.index))].length);
    change(merged);
    change(copy);
    const [one, two] = [
      await diff({ kind: "overlay", upper }, [base.index]),
      await diff({ kind: "copy", root: copy, mark }, [base.index]),
    ];
    assert.equal(await names(one.blob), [...CHANGES]);
    const bytes = fs.readFileSync(one.blob);
    assert.equal(bytes, fs.readFileSync(two.blob));
    assert.equal(fs.readFileSync(one.index), fs.readFileSync(two.index));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const { reply } = one;
    assert.equal([reply.digest, reply.diffId, reply.size, reply.tarSize], [digest, digest, bytes.length, bytes.length]);
    assert.is(reply.entries, CHANGES.length);
    const link = [...new EntryTable(fs.readFileSync(one.index))].find((entry) => entry.path === "usr/also-new");
    assert.equal([link?.type, link?.link], [EntryType.hardlink, "etc/new"]);

    // Laid over what it was made of, the layer gives what the step left.
    const again = await unpacked(base, "apply");
    await unpacked(one, "apply", again);
    const seen = async (tree: string) =>
      (await must("sh", ["-c", "find . -mindepth 1 -printf '%P %y %m %U:%G %s %l\\n' | sort"], { cwd: tree })).stdout;
    const withoutSizesOfFolders = (text: string) => text.replaceAll(/( d \S+ \S+) \d+/g, "$1");
    assert.is(withoutSizesOfFolders(await seen(again)), withoutSizesOfFolders(await seen(merged)));
  });

  Trees("a step that changes nothing makes nothing", async () => {
    const base = await layerOf(root());
    const { upper, merged } = await overlay(await unpacked(base, "layer"));
    fs.chmodSync(path.join(merged, "etc/passwd"), 0o600);
    fs.chmodSync(path.join(merged, "etc/passwd"), 0o644);
    const { blob, index, reply } = await diff({ kind: "overlay", upper }, [base.index]);
    assert.equal([reply.entries, reply.diffId, reply.size], [0, "", 0]);
    assert.equal([fs.existsSync(blob), fs.existsSync(index)], [false, false]);
  });

  Trees("a layer that arrives is unpacked meanwhile", async () => {
    const { blob, index } = await layerOf(root());
    const [again, tree] = [fresh(), fresh()];
    const bytes = gzipSync(fs.readFileSync(blob));
    async function* pieces(): AsyncIterable<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
    }
    await native.ingest({ index: again, compression: "gzip", tree: { output: tree, owners: "real" } }, pieces());
    assert.equal(fs.readFileSync(again), fs.readFileSync(index));
    assert.is(fs.readFileSync(path.join(tree, "usr/lib/b"), "utf8"), "2");
    assert.is(fs.statSync(path.join(tree, "tmp")).mode & 0o7777, 0o1777);
    assert.is(fs.statSync(path.join(tree, "etc/passwd")).mtimeMs, 1_000_000);
  });

  if (available("umoci", has("umoci"))) {
    Trees("umoci unpacks a layer as kbuild does", async () => {
      const base = await layerOf(root());
      const { upper, merged } = await overlay(await unpacked(base, "layer"));
      change(merged);
      const changes = await diff({ kind: "overlay", upper }, [base.index]);
      const [image, bundle] = [fresh(), fresh()];
      await must("umoci", ["init", "--layout", image]);
      await must("umoci", ["new", "--image", `${image}:x`]);
      for (const { blob } of [base, changes]) await must("umoci", ["raw", "add-layer", "--image", `${image}:x`, blob]);
      await must("umoci", ["unpack", "--image", `${image}:x`, bundle]);
      const seen = async (tree: string) =>
        (await must("sh", ["-c", "find . -mindepth 1 -printf '%P %y %m %U:%G %l %T@\\n' | sort"], { cwd: tree }))
          .stdout;
      const copy = await unpacked(base, "apply");
      await unpacked(changes, "apply", copy);
      assert.is(await seen(copy), await seen(path.join(bundle, "rootfs")));
    });
  }

  Trees("10,000 files are found among 30,000, and 2,000 that are gone", async () => {
    const tree = fresh();
    fs.mkdirSync(tree);
    for (let number = 0; number < 300; number++) {
      fs.mkdirSync(path.join(tree, `d${number}`));
      for (let file = 0; file < 100; file++) fs.writeFileSync(path.join(tree, `d${number}`, `${file}`), `${file}`);
    }
    const base = await layerOf(tree);
    const { upper, merged } = await overlay(await unpacked(base, "layer"));
    fs.mkdirSync(path.join(merged, "new"));
    for (let number = 0; number < 10_000; number++)
      fs.writeFileSync(path.join(merged, "new", `${number}`), `${number}`);
    for (let number = 0; number < 20; number++) {
      for (let file = 0; file < 100; file++) fs.rmSync(path.join(merged, `d${number}`, `${file}`));
    }
    const { blob, reply } = await diff({ kind: "overlay", upper }, [base.index]);
    const listed = await names(blob);
    assert.is(listed.filter((name) => /\/\.wh\.\d+$/.test(name)).length, 2000);
    assert.is(listed.filter((name) => /^new\/\d+$/.test(name)).length, 10_000);
    // The folders, whose times have changed.
    assert.is(reply.entries, 10_000 + 2000 + 20 + 1);
  });

  Trees("3 GiB of holes take neither space nor memory", async () => {
    const base = await layerOf(root());
    const { upper, merged } = await overlay(await unpacked(base, "layer"));
    const file = fs.openSync(path.join(merged, "holes"), "w");
    fs.ftruncateSync(file, 3 * 2 ** 30);
    fs.writeSync(file, "data", 2_000_000_000);
    fs.closeSync(file);
    const { blob, index, reply } = await diff({ kind: "overlay", upper }, [base.index]);
    assert.equal(await names(blob), ["holes"]);
    assert.ok(reply.size > 3 * 2 ** 30);
    assert.ok(fs.statSync(blob).blocks * 512 < 10 * 2 ** 20, "the layer has holes");
    const tree = await unpacked({ blob, index }, "layer");
    const stat = fs.statSync(path.join(tree, "holes"));
    assert.is(stat.size, 3 * 2 ** 30);
    assert.ok(stat.blocks * 512 < 10 * 2 ** 20, "the unpacked file has holes");
    const buffer = Buffer.alloc(6);
    const read = fs.openSync(path.join(tree, "holes"), "r");
    fs.readSync(read, buffer, 0, 6, 1_999_999_999);
    fs.closeSync(read);
    assert.equal(buffer, Buffer.from("\0data\0"));
    const output = fresh();
    const compression = { kind: "zstd", level: 1 } as const;
    await native.recompress({ input: { path: blob, compression: "none" }, output, compression });
    assert.ok(fs.statSync(output).size < 2 ** 20);
  });
}

Trees("a layer that cannot be unpacked leaves nothing", async () => {
  const { blob, index } = await layerOf(root());
  const output = fresh();
  const request = { blob: { path: blob, compression: "none" }, output, form: "layer", owners: "recorded" } as const;
  const bytes = fs.readFileSync(blob);
  bytes[bytes.indexOf("some users")] = 0;
  fs.writeFileSync(blob, bytes);
  try {
    await native.unpack({ ...request, index });
    assert.unreachable("a damaged layer was taken");
  } catch (error) {
    assert.instance(error, KbuildError);
  }
  assert.not(fs.existsSync(output));
});

Trees("trees are moved and removed with what is beside them", async () => {
  const source = root();
  const layer = await layerOf(source, "--owner=1000", "--group=1000");
  const [output, place] = [fresh(), fresh()];
  const blob = { path: layer.blob, compression: "none" } as const;
  for (const each of [output, `${output}-2`]) {
    await native.unpack({ blob, index: layer.index, output: each, form: "layer", owners: "recorded" });
    assert.is(fs.readFileSync(`${each}.owners`, "utf8"), "lib\0" + "1000 1000 120777 0 0\n");
    await native.move({ from: each, to: place });
    assert.equal(
      [each, `${each}.owners`].map((file) => fs.existsSync(file)),
      [false, false],
    );
  }
  assert.ok(fs.existsSync(`${place}.owners`));
  assert.is(fs.readFileSync(path.join(place, "etc/passwd"), "utf8"), "some users");
  await native.remove({ paths: [place, `${place}-missing`] });
  assert.equal(
    [place, `${place}.owners`].map((file) => fs.existsSync(file)),
    [false, false],
  );
});

Trees.run();
