import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import { blake3 } from "@napi-rs/blake-hash";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { compareTreeOrder, type Entry, EntryTable, EntryType, encodeEntries } from "../../src/layers/entry-table.ts";
import { decodePath, encodePath } from "../../src/layers/path-bytes.ts";
import { NativeClient } from "../../src/native/client.ts";
import type { Compression, CompressionKind, PackRequest } from "../../src/native/protocol.ts";
import { available, has, must } from "../support/command.ts";
import { HOME, workspace } from "../support/workspace.ts";

const Pack = suite("pack, ingest, extract, recompress");
const folder = workspace("kbuild-pack");
const native = new NativeClient();
Pack.after(() => native.close());

let made = 0;

/** A path in the workspace where nothing is yet. */
function fresh(): string {
  made += 1;
  return path.join(folder, `${made}`);
}

function entry(name: string, rest: Partial<Entry> = {}): Entry {
  return {
    path: name,
    type: EntryType.file,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: rest.source?.kind === "inline" ? rest.source.bytes.length : 0,
    mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
    link: "",
    xattrs: [],
    digest: undefined,
    inodeGroup: 0,
    source: { kind: "none" },
    ...rest,
  };
}

function inline(name: string, text: string, rest: Partial<Entry> = {}): Entry {
  return entry(name, { source: { kind: "inline", bytes: Buffer.from(text) }, ...rest });
}

const PLAIN: Compression = { kind: "none", level: 0 };

interface Made {
  readonly output: string;
  readonly index: EntryTable;
  readonly diffId: string;
  readonly digest: string;
  readonly size: number;
}

async function pack(entries: readonly Entry[], rest: Partial<PackRequest> = {}): Promise<Made> {
  const [output, index] = [fresh(), fresh()];
  const sorted = [...entries].sort((a, b) => compareTreeOrder(encodePath(a.path), encodePath(b.path)));
  const reply = await native.pack(
    {
      output: { path: output },
      compression: PLAIN,
      roots: [],
      blobs: [],
      index,
      purpose: "layer",
      temporary: folder,
      ...rest,
    },
    encodeEntries(sorted),
  );
  const { diffId, digest, size } = reply;
  return { output, index: new EntryTable(fs.readFileSync(index)), diffId, digest, size };
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function failureOf(promise: Promise<unknown>): Promise<KbuildError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof KbuildError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** Names and values that tars have trouble with. Numbers stay within what Linux and all the tools know. */
const ODD: readonly Entry[] = [
  entry("folder", { type: EntryType.directory, mode: 0o1777 }),
  inline("folder/plain", "content", { mode: 0o4755, uid: 1000, gid: 100 }),
  inline("grün/straße", "ß"),
  inline(decodePath(Buffer.from([0x62, 0xff, 0x64])), "bytes"),
  inline(decodePath(Buffer.from(`${"b".repeat(180)}/\xff/${"f".repeat(120)}`, "latin1")), "long bytes"),
  inline(`${"d".repeat(90)}/${"e".repeat(60)}/${"f".repeat(90)}`, "divided"),
  inline("n".repeat(200), "one long name"),
  inline(Array.from({ length: 30 }, (_, number) => `${number}`.repeat(20)).join("/"), "deep"),
  inline("new\nline and = and ' and \\", "odd"),
  entry("link", { type: EntryType.symlink, mode: 0o777, link: "folder/plain" }),
  entry("long link", { type: EntryType.symlink, mode: 0o777, link: `../${"t".repeat(150)}` }),
  entry("grüner link", { type: EntryType.symlink, mode: 0o777, link: "grün/straße" }),
  entry("hard", { type: EntryType.hardlink, link: "folder/plain", mode: 0o4755, uid: 1000, gid: 100 }),
  entry("pipe", { type: EntryType.fifo }),
  entry("null", { type: EntryType.characterDevice, device: { major: 1, minor: 3 } }),
  inline("big ids", "", { uid: 3_000_000_000, gid: 2_097_152 }),
  inline("before 1970", "", { mtime: { seconds: -86_400, nanoseconds: 0 } }),
  inline("after 2242", "", { mtime: { seconds: 8_589_934_592, nanoseconds: 0 } }),
  inline("attributes", "a", {
    xattrs: [
      { name: "security.capability", value: Buffer.from("0100000200040000000000000000000000000000", "hex") },
      { name: "user.ü", value: Buffer.from("line\nbreak") },
    ],
  }),
  inline("folder/.wh.gone", "", { type: EntryType.whiteout }),
];

/** One line for each entry: path, type flag, mode, ids, time, link, size, and SHA-256 of the content, all in hexadecimal or decimal. */
function expected(entries: readonly Entry[]): string[] {
  const flags = ["0", "5", "2", "1", "3", "4", "6", "0", "0"];
  return entries
    .map((each) => {
      const content = each.source.kind === "inline" ? each.source.bytes : Buffer.alloc(0);
      const words = [
        encodePath(each.path).toString("hex"),
        flags[each.type],
        each.mode,
        each.uid,
        each.gid,
        each.mtime.seconds,
        encodePath(each.link).toString("hex"),
        each.size,
        each.type === EntryType.file ? sha256(content).slice(7) : "",
        each.xattrs.map(({ name, value }) => `${name}=${Buffer.from(value).toString("hex")}`).join(","),
      ];
      return words.join(" ");
    })
    .sort();
}

const PYTHON = `
import hashlib, sys, tarfile
raw = lambda text: text.encode("utf-8", "surrogateescape")
with tarfile.open(sys.argv[1], "r:", encoding="utf-8", errors="surrogateescape") as tar:
    for m in tar:
        content = tar.extractfile(m).read() if m.isreg() else b""
        digest = hashlib.sha256(content).hexdigest() if m.isreg() and ".wh." not in m.name else ""
        xattrs = sorted((k[13:], raw(v).hex()) for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr."))
        print(raw(m.name.rstrip("/")).hex(), m.type.decode(), m.mode, m.uid, m.gid, int(m.mtime), raw(m.linkname).hex(),
              m.size, digest, ",".join(k + "=" + v for k, v in xattrs))
`;

const GO = `
package main

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

func main() {
	r := tar.NewReader(os.Stdin)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(err)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, r); err != nil {
			panic(err)
		}
		digest := ""
		if h.Typeflag == tar.TypeReg && !strings.Contains(h.Name, ".wh.") {
			digest = fmt.Sprintf("%x", hash.Sum(nil))
		}
		var xattrs []string
		for k, v := range h.PAXRecords {
			if name, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
				xattrs = append(xattrs, fmt.Sprintf("%s=%x", name, v))
			}
		}
		sort.Strings(xattrs)
		fmt.Printf("%x %c %d %d %d %d %x %d %s %s\\n", strings.TrimSuffix(h.Name, "/"), h.Typeflag, h.Mode&07777, h.Uid, h.Gid,
			h.ModTime.Unix(), h.Linkname, h.Size, digest, strings.Join(xattrs, ","))
	}
}
`;

function lines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}

if (available("python3", has("python3"))) {
  Pack("Python's tarfile reads what was packed", async () => {
    const { output } = await pack(ODD);
    assert.equal(lines((await must("python3", ["-c", PYTHON, output])).stdout), expected(ODD));
  });
}

if (available("go", has("go"))) {
  Pack("Go's archive/tar, which Docker reads layers with, reads what was packed", async () => {
    const { output } = await pack(ODD);
    const program = path.join(folder, "list.go");
    fs.writeFileSync(program, GO);
    const env = { GOCACHE: path.join(folder, "go-cache"), GOPATH: path.join(folder, "go"), GO111MODULE: "off" };
    const listed = await must("go", ["run", program], { input: fs.readFileSync(output), env });
    assert.equal(lines(listed.stdout), expected(ODD));
  });
}

if (available("GNU tar", has("tar"))) {
  Pack("GNU tar lists and unpacks what was packed", async () => {
    const { output } = await pack(ODD);
    const listed = await must("tar", ["--quoting-style=literal", "--null", "--show-transformed-names", "-tf", output]);
    assert.equal(listed.stderr, "");
    const names = ODD.filter(({ path: name }) => !name.includes("\n"));
    for (const { path: name, type } of names) {
      const wanted = Buffer.concat([encodePath(name), Buffer.from(type === EntryType.directory ? "/\n" : "\n")]);
      assert.ok(listed.bytes.includes(wanted), `${name} is listed`);
    }
    const files = ODD.filter(({ type, uid, mtime }) => type === EntryType.file && uid < 2_000 && mtime.seconds > 0);
    const target = fresh();
    fs.mkdirSync(target);
    await must("tar", ["-C", target, "--no-same-owner", "--exclude=null", "-xf", output]);
    for (const { path: name, source } of files) {
      const file = Buffer.concat([Buffer.from(`${target}/`), encodePath(name)]);
      assert.equal(fs.readFileSync(file), source.kind === "inline" ? Buffer.from(source.bytes) : undefined, name);
    }
    assert.is(fs.statSync(path.join(target, "hard")).ino, fs.statSync(path.join(target, "folder/plain")).ino);
  });

  Pack("archives of GNU tar are taken in, whatever their format and compression", async () => {
    const source = fresh();
    const long = `${"d".repeat(120)}/${"f".repeat(120)}`;
    fs.mkdirSync(path.join(source, "d".repeat(120)), { recursive: true });
    fs.writeFileSync(path.join(source, long), "long");
    fs.writeFileSync(path.join(source, "grün"), "g");
    fs.symlinkSync("t".repeat(130), path.join(source, "link"));
    fs.linkSync(path.join(source, "grün"), path.join(source, "hard"));
    for (const format of ["gnu", "pax", "posix", "oldgnu"]) {
      for (const [flag, name] of [
        ["", "none"],
        ["-z", "gzip"],
        ["-j", "bzip2"],
        ["-J", "xz"],
        ["--zstd", "zstd"],
      ] as const) {
        const [archive, index, tar] = [fresh(), fresh(), fresh()];
        const options = [
          "-C",
          source,
          `--format=${format}`,
          "--sort=name",
          "-cf",
          archive,
          ...(flag === "" ? [] : [flag]),
        ];
        await must("tar", [...options, "."]);
        const reply = await native.ingest({ input: archive, index, tar, compression: "detect" }, undefined);
        assert.is(reply.compression, name);
        const entries = [...new EntryTable(fs.readFileSync(index))];
        assert.equal(
          entries.map((each) => each.path),
          ["", "d".repeat(120), long, "grün", "hard", "link"],
          `${format} ${name}`,
        );
        const [, , file, , hard, link] = entries;
        assert.equal(Buffer.from(file?.digest ?? []), blake3(Buffer.from("long")));
        assert.is(hard?.link, "grün");
        assert.is(link?.link, "t".repeat(130));
        assert.is(reply.diffId, sha256(fs.readFileSync(tar)));
      }
    }
  });

  Pack("a sparse file is refused by name", async () => {
    const source = fresh();
    fs.mkdirSync(source);
    const file = fs.openSync(path.join(source, "holes"), "w");
    fs.ftruncateSync(file, 10 << 20);
    fs.writeSync(file, "x", 5 << 20);
    fs.closeSync(file);
    for (const version of ["0.0", "0.1", "1.0"]) {
      const archive = fresh();
      await must("tar", ["-C", source, "-S", "--format=pax", `--sparse-version=${version}`, "-cf", archive, "holes"]);
      const failure = await failureOf(
        native.ingest({ input: archive, index: fresh(), compression: "detect" }, undefined),
      );
      assert.match(failure.message, /sparse/, version);
    }
  });
}

Pack("what was packed and taken in again has the same index", async () => {
  for (const kind of ["none", "gzip", "zstd"] as const) {
    const { output, index, digest, diffId, size } = await pack(ODD, { compression: { kind, level: 5 } });
    const [copy, again] = [fresh(), fresh()];
    const bytes = fs.readFileSync(output);
    assert.is(digest, sha256(bytes));
    async function* pieces(): AsyncIterable<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
    }
    const reply = await native.ingest(
      { output: copy, index: again, compression: kind, digest, size, diffId },
      pieces(),
    );
    assert.is(reply.entries, ODD.length);
    assert.equal([...new EntryTable(fs.readFileSync(again))], [...index]);
    assert.equal(fs.readFileSync(copy), bytes);
  }
});

Pack("the same table gives the same bytes", async () => {
  for (const kind of ["none", "gzip", "zstd"] as const) {
    const [one, two] = [
      await pack(ODD, { compression: { kind, level: 4 } }),
      await pack(ODD, { compression: { kind, level: 4 } }),
    ];
    assert.is(one.digest, two.digest);
  }
});

Pack("a file of 9 GiB has its size in a pax record", async () => {
  // Only the header is looked at: the pack ends when the file turns out to be smaller.
  const size = 9 * 2 ** 30;
  const source = { kind: "file", root: 0, path: "big" } as const;
  const root = fresh();
  fs.mkdirSync(root);
  fs.writeFileSync(path.join(root, "big"), "");
  fs.truncateSync(path.join(root, "big"), size);
  const output = fresh();
  const controller = new AbortController();
  const packing = native.pack(
    { output: { path: output }, compression: PLAIN, roots: [root], blobs: [], purpose: "archive", temporary: folder },
    encodeEntries([entry("big", { size, source })]),
    { signal: controller.signal, progress: () => controller.abort() },
  );
  let start: Buffer = Buffer.alloc(0);
  for (let attempt = 0; attempt < 1000 && start.length < 1536; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (fs.existsSync(output)) start = readStart(output, 1536);
  }
  controller.abort();
  await packing.catch(() => undefined);
  assert.ok(start.includes(`19 size=${size}\n`));
  assert.is(start.toString("latin1", 1024 + 124, 1024 + 136), "00000000000\0");
  assert.not(fs.existsSync(output), "a cancelled request leaves nothing");
});

function readStart(file: string, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  const descriptor = fs.openSync(file, "r");
  try {
    return buffer.subarray(0, fs.readSync(descriptor, buffer, 0, length, 0));
  } finally {
    fs.closeSync(descriptor);
  }
}

Pack("an archive goes to standard output, whether it is a pipe or a file that has bytes already", async () => {
  const root = fresh();
  fs.mkdirSync(root);
  fs.writeFileSync(path.join(root, "blob"), Buffer.alloc(3_000_000, "blob"));
  const table = fresh();
  const source = { kind: "file", root: 0, path: "blob" } as const;
  fs.writeFileSync(table, encodeEntries([entry("blob", { size: 3_000_000, source }), inline("index.json", "{}")]));
  const work = { compression: PLAIN, roots: [root], blobs: [], purpose: "archive", temporary: folder } as const;
  const output = fresh();
  await native.pack({ ...work, output: { path: output } }, fs.readFileSync(table));
  const archive = fs.readFileSync(output);
  const script = `
    import { readFileSync } from "node:fs";
    import { NativeClient } from ${JSON.stringify(path.join(HOME, "src/native/client.ts"))};
    const native = new NativeClient();
    await native.pack({ ...${JSON.stringify(work)}, output: { descriptor: 3 } }, readFileSync(${JSON.stringify(table)}));
    await native.close();
  `;
  const argv = ["--import", "tsx", "--input-type=module", "-e", script];
  const env = { KBUILD_NATIVE_PATH: process.env.KBUILD_NATIVE_PATH };
  assert.equal((await must(process.execPath, argv, { env })).bytes, archive);
  const file = fresh();
  fs.writeFileSync(file, "before");
  const shell = ["-c", 'exec "$0" "$@" >>"$FILE"', process.execPath, ...argv];
  await must("sh", shell, { env: { ...env, FILE: file } });
  assert.equal(fs.readFileSync(file), Buffer.concat([Buffer.from("before"), archive]));
});

Pack("blobs are copied between all compressions", async () => {
  const text = Buffer.from("a line of text\n".repeat(100_000));
  const plain = fresh();
  fs.writeFileSync(plain, text);
  const kinds: readonly CompressionKind[] = ["none", "gzip", "zstd"];
  for (const from of kinds) {
    const source = fresh();
    await native.recompress({
      input: { path: plain, compression: "none" },
      output: source,
      compression: { kind: from, level: 3 },
    });
    for (const to of kinds) {
      const output = fresh();
      const compression = { kind: to, level: 3 };
      const reply = await native.recompress({ input: { path: source, compression: from }, output, compression });
      const bytes = fs.readFileSync(output);
      assert.is(reply.digest, sha256(bytes));
      assert.is(reply.size, bytes.length);
      if (to === "none") assert.equal(bytes, text);
      else if (has(to)) assert.equal((await must(to, ["-dc"], { input: bytes })).bytes, text);
    }
  }
});

Pack("a layer that is not what was asked for is refused, and nothing stays", async () => {
  const bytes = gzipSync(fs.readFileSync((await pack(ODD)).output));
  const [output, index] = [fresh(), fresh()];
  const request = { output, index, compression: "gzip" } as const;
  async function* whole(): AsyncIterable<Uint8Array> {
    yield bytes;
  }
  const right = sha256(bytes);
  const wrong = `sha256:${"0".repeat(64)}`;
  for (const rest of [{ digest: wrong }, { digest: right, size: bytes.length + 1 }, { digest: right, diffId: wrong }]) {
    await failureOf(native.ingest({ ...request, ...rest }, whole()));
    assert.not(fs.existsSync(output));
    assert.not(fs.existsSync(index));
  }
  await native.ingest({ ...request, digest: right, size: bytes.length }, whole());
  assert.ok(fs.existsSync(index));
});

Pack("a tree is written from a compressed layer", async () => {
  const layer = await pack(ODD, { compression: { kind: "gzip", level: 6 } });
  const output = fresh();
  const usable = [...layer.index].filter(({ type, path: name }) => {
    return type === EntryType.file || (type === EntryType.directory && name !== "");
  });
  const mine = usable.map((each) => ({ ...each, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }));
  const blobs = [{ path: layer.output, compression: "gzip" }] as const;
  const reply = await native.extract({ output, roots: [], blobs, temporary: folder }, encodeEntries(mine));
  assert.is(reply.files, mine.filter(({ type }) => type === EntryType.file).length);
  assert.is(fs.readFileSync(path.join(output, "grün/straße"), "utf8"), "ß");
  assert.is(fs.statSync(path.join(output, "folder/plain")).mode & 0o7777, 0o4755);
  assert.is(fs.statSync(path.join(output, "folder")).mode & 0o7777, 0o1777);
});

Pack.run();
