import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import * as path from "node:path";
import { blake3 } from "@napi-rs/blake-hash";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { type Entry, EntryTable, EntryType } from "../../src/layers/entry-table.ts";
import { NativeClient } from "../../src/native/client.ts";
import type { IgnoreRule, Scanned, ScanRequest, SelectionSegment } from "../../src/native/protocol.ts";
import { available, has } from "../support/command.ts";
import { type RawCore, withCore } from "../support/raw-core.ts";
import { listing, plant, workspace } from "../support/workspace.ts";

const Scan = suite("scan");
const folder = workspace("kbuild-scan");
const native = new NativeClient();
let nextId = 1;
const isRoot = process.getuid?.() === 0;
Scan.after(() => native.close());

function segments(source: string): SelectionSegment[] {
  return source
    .split("/")
    .filter((name) => name !== "")
    .map((text) => {
      if (text === "**") return { kind: "any" };
      return /[*?[\\]/.test(text) ? { kind: "pattern", text } : { kind: "name", text };
    });
}

function rules(lines: readonly string[]): IgnoreRule[] {
  return lines.map((line) => ({ pattern: line.replace(/^!/, ""), negated: line.startsWith("!") }));
}

type Wanted = Omit<ScanRequest, "op" | "id">;

function wanted(root: string, sources: readonly string[], options: Partial<Wanted> = {}): Wanted {
  const selections = sources.map((source) => ({ segments: segments(source), followLast: true }));
  return { root, selections, ignore: [], digest: true, ...options };
}

interface Result {
  readonly head: Scanned;
  readonly entries: readonly Entry[];
  readonly paths: readonly string[];
}

async function scan(root: string, sources: readonly string[], options: Partial<Wanted> = {}): Promise<Result> {
  const { head, table } = await native.scan(wanted(root, sources, options));
  const entries = [...new EntryTable(table)];
  return { head, entries, paths: entries.map(({ path }) => path) };
}

async function failureOf(promise: Promise<unknown>): Promise<KbuildError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof KbuildError) return error;
    throw error;
  }
  throw new Error("this was to fail");
}

/** Makes a file look as if nobody had touched it for a minute, which its change time allows only by waiting. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3100));
}

Scan("tells of every entry what the file system has of it", async () => {
  const root = plant(path.join(folder, "facts"), {
    "bin/tool": { text: "#!/bin/sh\n", mode: 0o4751 },
    link: { link: "../elsewhere" },
    empty: { dir: 0o1777 },
  });
  fs.utimesSync(path.join(root, "bin/tool"), 1_000_000_000, 1_000_000_000.75);
  const { entries, head } = await scan(root, [""]);
  const shown = entries.map(({ path, type, mode, size, link }) => [path, type, mode, size, link]);
  assert.equal(shown, [
    ["", EntryType.directory, 0o755, 0, ""],
    ["bin", EntryType.directory, 0o755, 0, ""],
    ["bin/tool", EntryType.file, 0o4751, 10, ""],
    ["empty", EntryType.directory, 0o1777, 0, ""],
    ["link", EntryType.symlink, 0o777, 0, "../elsewhere"],
  ]);
  const tool = entries[2];
  assert.equal(tool?.mtime, { seconds: 1_000_000_000, nanoseconds: 750_000_000 });
  assert.equal(tool?.source, { kind: "file", root: 0, path: "bin/tool" });
  assert.is(tool?.uid, process.getuid?.());
  assert.is(Buffer.from(tool?.digest ?? []).toString("hex"), blake3("#!/bin/sh\n").toString("hex"));
  assert.is(head.filesRead, 1);
  assert.is(head.bytesRead, 10);
});

Scan("never leaves the root, whatever links say", async () => {
  const outside = plant(path.join(folder, "outside"), { secret: "outside", "root/secret": "inside", "root/d/x": "x" });
  const root = path.join(outside, "root");
  for (const [name, target] of [
    ["up", "../secret"],
    ["far", "../../../../../../secret"],
    ["absolute", "/secret"],
    ["folder", ".."],
    ["real", path.join(outside, "secret")],
    ["kernel", "/proc/self/root/etc/passwd"],
  ] as const) {
    fs.symlinkSync(target, path.join(root, name));
  }
  const inside = ["up", "far", "absolute", "folder/secret", "folder/folder/secret"];
  const { head, entries } = await scan(root, [...inside, "real", "kernel"]);
  assert.equal(
    entries.map(({ path }) => path),
    ["secret"],
  );
  assert.is(Buffer.from(entries[0]?.digest ?? []).toString("hex"), blake3("inside").toString("hex"));
  for (const [number, asked] of inside.entries()) assert.equal(head.matches[number], [{ entry: 0, asked }]);
  assert.equal(head.misses.slice(-2), [{ rule: null }, { rule: null }]);
  const { head: whole } = await scan(root, ["folder"]);
  assert.equal(whole.matches, [[{ entry: 0, asked: "folder" }]], "it is the root itself");
});

Scan("says which links go in a circle", async () => {
  const root = plant(path.join(folder, "circle"), {
    one: { link: "two" },
    two: { link: "one" },
    "d/self": { link: "self/x" },
  });
  for (const source of ["one", "two/x", "d/self/y", "one/*"]) {
    const error = await failureOf(scan(root, [source]));
    assert.is(error.code, "build.hostile");
    assert.match(error.message, new RegExp(`^${source.split("/*")[0]}: too many symbolic links$`));
  }
  assert.equal((await scan(root, ["*"])).paths, ["d", "d/self", "one", "two"], "a wildcard takes them as they are");
});

Scan("reads names that are no text, and odd ones", async () => {
  const root = path.join(folder, "names");
  fs.mkdirSync(root);
  const names = [
    Buffer.from([0xff, 0xfe]),
    Buffer.from("new\nline"),
    Buffer.from("\x1b[31m"),
    Buffer.from("ü"),
    Buffer.from(" "),
  ];
  for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), "");
  const { paths } = await scan(root, ["*"]);
  assert.equal(
    paths,
    [" ", "\x1b[31m", "new\nline", "ü", "\udcff\udcfe"].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
  assert.equal((await scan(root, ["??"])).paths, ["\udcff\udcfe"]);
});

Scan("goes as deep as a path can", async () => {
  const root = path.join(folder, "deep");
  fs.mkdirSync(root);
  const name = "n".repeat(250);
  const made = spawnSync(
    "sh",
    ["-c", 'for i in $(seq 20); do mkdir "$0" && cd -P "$0" || exit 1; done; echo far > file', name],
    {
      cwd: root,
    },
  );
  assert.is(made.status, 0, `${made.stderr}`);
  const { entries } = await scan(root, [""]);
  assert.is(entries.length, 22);
  assert.is(entries[21]?.path.length, 20 * 251 + 4);
  assert.is(Buffer.from(entries[21]?.digest ?? []).toString("hex"), blake3("far\n").toString("hex"));
  const below = `${name}/`.repeat(20);
  assert.equal((await scan(root, [`${below}file`])).paths, [`${below}file`]);
  spawnSync("rm", ["-rf", root]);
});

Scan("leaves out what no image can have, with a warning", async () => {
  if (!available("mkfifo", has("mkfifo"))) return;
  const root = plant(path.join(folder, "special"), { file: "x", "d/x": "" });
  spawnSync("mkfifo", [path.join(root, "d/fifo")]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path.join(root, "socket"), resolve));
  const { head, paths } = await scan(root, ["", "socket"]);
  server.close();
  assert.equal(paths, ["", "d", "d/x", "file"]);
  assert.equal(head.warnings, [
    { path: "d/fifo", kind: "fifo" },
    { path: "socket", kind: "socket" },
  ]);
});

Scan("walks only into folders that may hold something, and looks only at what may be wanted", async () => {
  if (!available("root", isRoot)) return;
  const root = plant(path.join(folder, "pruned"), {
    "node_modules/a/b": "b",
    "src/x": "x",
    "src/locked/y": "y",
    "keep/deep/z": "z",
    "secret.key": { text: "k", mode: 0o600 },
  });
  for (const name of ["node_modules", "src/locked"]) fs.chmodSync(path.join(root, name), 0o700);
  const ask = async (core: RawCore, ignore: readonly string[]): Promise<string> => {
    core.send({ op: "scan", id: nextId++, ...wanted(root, [""], { ignore: rules(ignore) }) });
    const { head, body } = await core.answer();
    if (head.reply === "failed") return `${head.code} ${head.path}`;
    return [...new EntryTable(body)].map(({ path }) => path).join(" ");
  };
  await withCore({ uid: 65534 }, async (core) => {
    assert.is(await ask(core, ["node_modules", "**/locked", "*.key"]), " keep keep/deep keep/deep/z src src/x");
    assert.is(await ask(core, ["*", "!keep", "!src/x"]), " keep keep/deep keep/deep/z src src/x");
    assert.is(await ask(core, ["**", "!keep/**/z"]), " keep keep/deep keep/deep/z");
    assert.is(await ask(core, ["src", "*.key"]), "denied node_modules");
    assert.is(await ask(core, ["node_modules", "src"]), "denied secret.key");
    assert.is(await ask(core, ["node_modules", "*.key", "src", "!src/**/y"]), "denied src/locked");
  });
});

Scan("says of what may not be read that it may not be read", async () => {
  if (!available("root", isRoot)) return;
  const root = plant(path.join(folder, "denied"), { "d/file": { text: "x", mode: 0 }, closed: { dir: 0o700 } });
  await withCore({ uid: 65534 }, async (core) => {
    for (const [source, digest, expected] of [
      ["d/file", true, "denied d/file"],
      ["d/file", false, "scanned undefined"],
      ["closed", true, "denied closed"],
      ["closed/x", true, "denied closed/x"],
      ["clo*/x", true, "denied closed"],
    ] as const) {
      core.send({ op: "scan", id: nextId++, ...wanted(root, [source], { digest }) });
      const { head } = await core.answer();
      const shown = head.reply === "failed" ? `${head.code} ${head.path}` : `${head.reply} undefined`;
      assert.is(shown, expected, source);
    }
  });
});

Scan("reads no file twice that has not changed, and any that has", async () => {
  const root = plant(path.join(folder, "cached"), { a: "a", b: "b", "d/c": "c", "d/e": { hard: "a" } });
  const statCache = path.join(workspace(), "cache");
  const read = async (digest = true): Promise<readonly [number, readonly string[]]> => {
    const { head, entries } = await scan(root, ["a", "b", "d"], { statCache, digest });
    const files = entries.filter(({ type }) => type === EntryType.file);
    return [head.filesRead, files.map((file) => Buffer.from(file.digest ?? []).toString("hex"))];
  };
  const digests = (...texts: string[]): string[] =>
    texts.map((text) => (text === "" ? "" : blake3(text).toString("hex")));

  assert.equal(await read(), [3, digests("a", "b", "c", "a")], "two names of one file are read once");
  assert.not(fs.existsSync(statCache), "files that are this young are not remembered");
  await settle();
  assert.equal(await read(), [3, digests("a", "b", "c", "a")]);
  assert.equal(await read(), [0, digests("a", "b", "c", "a")]);
  assert.equal(await read(false), [0, digests("a", "b", "c", "a")], "what is known is told without being asked for");

  const { atime, mtime } = fs.statSync(path.join(root, "b"));
  fs.writeFileSync(path.join(root, "b"), "B");
  fs.utimesSync(path.join(root, "b"), atime, mtime);
  assert.equal(await read(false), [0, digests("a", "", "c", "a")], "same size, same mtime, another ctime");
  assert.equal(await read(), [1, digests("a", "B", "c", "a")]);
  assert.equal(await read(), [1, digests("a", "B", "c", "a")], "it is still too young");

  fs.writeFileSync(path.join(root, "new"), "n");
  fs.renameSync(path.join(root, "new"), path.join(root, "d/c"));
  assert.equal((await read())[1], digests("a", "B", "n", "a"));

  fs.truncateSync(statCache, 100);
  assert.equal((await read())[1], digests("a", "B", "n", "a"), "a damaged cache is an empty one");
  assert.equal(listing(path.dirname(statCache)).length, 1, "nothing is left beside it");
});

Scan("a stat cache that cannot be written is an error that names it", async () => {
  const root = plant(path.join(folder, "unsaved"), { a: "a" });
  await settle();
  const statCache = path.join(folder, "nowhere/cache");
  const error = await failureOf(scan(root, [""], { statCache }));
  assert.is(error.code, "machine.io");
  assert.ok(error.message.includes(statCache), error.message);
});

Scan("never tells of a file what it is not, while it is written to", async () => {
  const root = plant(path.join(folder, "changing"), { "d/x": "" });
  const file = path.join(root, "d/x");
  const texts = ["one", "three", ""];
  const known = new Set(texts.map((text) => `${text.length} ${blake3(text).toString("hex")}`));
  let refused = 0;
  for (let round = 0; round < 300; round++) {
    const running = scan(root, ["d"]);
    fs.writeFileSync(file, texts[round % 3] ?? "");
    try {
      const entry = (await running).entries[1];
      assert.ok(known.has(`${entry?.size} ${Buffer.from(entry?.digest ?? []).toString("hex")}`), `round ${round}`);
    } catch (error) {
      if (!(error instanceof KbuildError)) throw error;
      assert.is(error.code, "build.changed", error.message);
      assert.match(error.message, /^d\/x was changed/);
      refused += 1;
    }
  }
  console.log(`${refused} of 300 scans met the change`);
});

Scan("a file that becomes a folder, a link or nothing while it is scanned is told as changed", async () => {
  const root = path.join(folder, "flicker");
  fs.mkdirSync(root);
  for (let number = 0; number < 400; number++) fs.writeFileSync(path.join(root, `f${number}`), "x");
  const target = path.join(root, "f399");
  const outcomes = new Set<string>();
  for (let round = 0; round < 100; round++) {
    const running = scan(root, [""]);
    fs.rmSync(target, { recursive: true });
    if (round % 3 === 0) fs.mkdirSync(target);
    else if (round % 3 === 1) fs.symlinkSync("/etc/passwd", target);
    else fs.writeFileSync(target, "x");
    try {
      await running;
      outcomes.add("scanned");
    } catch (error) {
      outcomes.add(error instanceof KbuildError ? error.code : `${error}`);
    }
  }
  for (const outcome of outcomes) assert.ok(outcome === "scanned" || outcome === "build.changed", outcome);
});

Scan("a context of many files costs what is wanted of it, not what it has", async () => {
  const root = path.join(folder, "many");
  for (let outer = 0; outer < 20; outer++) {
    const below = path.join(root, `node_modules/p${outer}`);
    fs.mkdirSync(below, { recursive: true });
    for (let number = 0; number < 200; number++) fs.writeFileSync(path.join(below, `${number}.js`), "");
  }
  plant(root, { "src/a.ts": "a", "src/b.tmp": "b" });
  const { head, paths } = await scan(root, [""], { ignore: rules(["**/node_modules", "**/*.tmp"]) });
  assert.equal(paths, ["", "src", "src/a.ts"]);
  assert.is(head.filesRead, 1);
  const { head: all } = await scan(root, ["**/*.js"], { digest: false });
  assert.is(all.matches[0]?.length, 4000);
  assert.is(all.filesRead, 0);
});

Scan("works where the kernel refuses openat2", async () => {
  const program = "import ctypes, os, struct, sys";
  const python = has("python3") && spawnSync("python3", ["-c", program]).status === 0;
  if (!available("python3", python)) return;
  const root = plant(path.join(folder, "by-hand"), { "d/e/f": "f", link: { link: "/d/e" }, out: { link: "../../.." } });
  // A seccomp filter as an old container engine has it: openat2 (437) fails with EPERM, all else is allowed.
  const filter = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = struct.pack("=HBBI", 0x20, 0, 0, 0) + struct.pack("=HBBI", 0x15, 0, 1, 437)
code += struct.pack("=HBBI", 6, 0, 0, 0x00050001) + struct.pack("=HBBI", 6, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("=HxxxxxxQ", 4, ctypes.addressof(buffer))
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.create_string_buffer(program)) != 0: sys.exit(1)
os.execv(sys.argv[1], [sys.argv[1]])
`;
  const script = path.join(folder, "refusing");
  const { nativePath } = await import("../../src/native/binary.ts");
  fs.writeFileSync(`${script}.py`, filter);
  fs.writeFileSync(script, `#!/bin/sh\nexec python3 ${script}.py ${nativePath()}\n`, { mode: 0o755 });
  const before = process.env.KBUILD_NATIVE_PATH;
  process.env.KBUILD_NATIVE_PATH = script;
  const refused = new NativeClient();
  try {
    const { head, table } = await refused.scan(wanted(root, ["link/f", "out/d", ""]));
    assert.equal(
      [...new EntryTable(table)].map((entry) => entry.path),
      ["", "d", "d/e", "d/e/f", "link", "out"],
    );
    assert.equal(
      head.matches.map((list) => list.map(({ entry }) => entry)),
      [[3], [1], [0]],
    );
  } finally {
    if (before === undefined) delete process.env.KBUILD_NATIVE_PATH;
    else process.env.KBUILD_NATIVE_PATH = before;
    await refused.close();
  }
});

Scan.run();
