import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { ArchiveContext } from "../../../src/executor/context/archive.ts";
import { type BuildContext, LARGEST_TEXT } from "../../../src/executor/context/build-context.ts";
import { findDockerfile, findIgnore, readIgnore } from "../../../src/executor/context/dockerfile.ts";
import { FolderContext, type FolderTools } from "../../../src/executor/context/folder.ts";
import { noContext } from "../../../src/executor/context/none.ts";
import { openStream } from "../../../src/executor/context/open.ts";
import { readTextFile } from "../../../src/executor/context/text-file.ts";
import { sourcePattern } from "../../../src/executor/copy/sources.ts";
import { type Entry, EntryType } from "../../../src/layers/entry-table.ts";
import type { NativeClient } from "../../../src/native/client.ts";
import type { IngestRequest } from "../../../src/native/protocol.ts";
import { openStore } from "../../../src/oci/layout/store.ts";
import { parseIgnoreFile } from "../../../src/parser/ignore.ts";
import { entry, file, folder, hardlink, mark, symlink, tableOf } from "../../layers/entries.ts";
import { plant, workspace } from "../../support/workspace.ts";

const home = workspace("kbuild-context");
const store = openStore(path.join(home, "store"), { create: true });

/** Tools whose core finds these entries in whatever comes, and keeps what came. */
function toolsFor(entries: readonly Entry[] = []) {
  const came: Uint8Array[] = [];
  const warnings: string[] = [];
  const ingest = async (request: Pick<IngestRequest, "index" | "tar">, bytes?: AsyncIterable<Uint8Array>) => {
    for await (const part of bytes ?? []) came.push(part);
    fs.writeFileSync(request.index, tableOf(entries).bytes);
    if (request.tar !== undefined) fs.writeFileSync(request.tar, "tar");
  };
  const tools: FolderTools = {
    store,
    native: { ingest } as unknown as NativeClient,
    signal: new AbortController().signal,
    warn: (_code, message) => warnings.push(message),
    rereads: false,
  };
  return { tools, warnings, came: () => Buffer.concat(came) };
}

async function failure(work: () => unknown): Promise<KbuildError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof KbuildError) return error;
    throw error;
  }
  throw new Error("nothing went wrong");
}

async function* pieces(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const Stream = suite("a context from standard input");

const tree = plant(path.join(home, "tree"), { Dockerfile: "FROM scratch\n", "a/b": "b" });
const tar = (...flags: readonly string[]): Buffer => execFileSync("tar", ["-C", tree, ...flags, "-c", "."]);
for (const [name, bytes] of [
  ["ustar", tar("--format=ustar")],
  ["pax", tar("--format=pax")],
  ["gnu", tar("--format=gnu")],
  ["v7", tar("--format=v7")],
  ["gzip", tar("-z")],
  ["bzip2", tar("-j")],
  ["xz", tar("-J")],
  ["zstd", tar("--zstd")],
] as const) {
  for (const size of [1, 300, 1_000_000]) {
    Stream(`a tar (${name}) in pieces of ${size}`, async () => {
      const { tools, came } = toolsFor([file("Dockerfile")]);
      const { context, dockerfile } = await openStream(pieces(bytes, size), "standard input", tools);
      assert.is(dockerfile, undefined);
      assert.instance(context, ArchiveContext);
      assert.ok(came().equals(bytes), "all of it comes to the core");
      context.dispose();
      assert.equal(fs.readdirSync(store.temporaryFolder), []);
    });
  }
}

for (const [name, text] of [
  ["short", "F"],
  ["plain", "FROM scratch\n"],
  ["long", `FROM scratch\n${"# é\n".repeat(10_000)}`],
  ["with a mark of byte order", "\ufeffFROM scratch\n"],
  ["of 512 characters", "#".repeat(512)],
] as const) {
  Stream(`a Dockerfile (${name})`, async () => {
    for (const size of [1, 7, 100_000]) {
      const { context, dockerfile } = await openStream(
        pieces(Buffer.from(text), size),
        "standard input",
        toolsFor().tools,
      );
      assert.is(dockerfile, text.replace(/^\ufeff/, ""));
      assert.is(context, noContext);
    }
  });
}

for (const [name, bytes, message] of [
  ["nothing", Buffer.alloc(0), /is empty/],
  ["zeros", Buffer.alloc(1024), /neither a tar nor a Dockerfile/],
  ["a program", Buffer.from("\u007fELF\u0002\u0001\u0000"), /neither/],
  ["what is not UTF-8", Buffer.from([0x46, 0xff, 0xfe]), /neither/],
  ["a tar's header that was changed", Buffer.concat([Buffer.from("X"), tar().subarray(1)]), /neither/],
] as const) {
  Stream(`${name} is no context`, async () => {
    const error = await failure(() => openStream(pieces(bytes, 100), "standard input", toolsFor().tools));
    assert.is(error.code, "build.context");
    assert.match(error.message, message);
  });
}

Stream("noise is refused or is text, and the stream is closed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 1500 }), async (bytes) => {
      let isClosed = false;
      async function* noisy() {
        try {
          yield* pieces(bytes, 100);
        } finally {
          isClosed = true;
        }
      }
      try {
        await openStream(noisy(), "standard input", toolsFor().tools);
      } catch (error) {
        if (!(error instanceof KbuildError)) throw error;
        assert.is(error.code, "build.context");
      }
      assert.ok(isClosed);
    }),
    { numRuns: 300 },
  );
});

Stream("a text without end is refused once it is too long", async () => {
  let sent = 0;
  async function* endless() {
    for (;;) {
      sent += 1_000_000;
      yield Buffer.alloc(1_000_000, "#");
    }
  }
  const error = await failure(() => openStream(endless(), "standard input", toolsFor().tools));
  assert.is(error.code, "build.tooLarge");
  assert.ok(sent < LARGEST_TEXT + 2_000_000, `${sent}`);
});

Stream.run();

const Archive = suite("the files of a tar as a context");

async function archiveOf(entries: readonly Entry[], rules = "") {
  const { tools, warnings } = toolsFor(entries);
  const context = await ArchiveContext.read(pieces(Buffer.from("x"), 1), "standard input", tools);
  const files = async () => context.files(parseIgnoreFile(rules));
  const listed = async () => {
    const [result] = await (await files()).select([sourcePattern(".", false)], false);
    return result?.kind === "found" ? [...(result.matches[0]?.below ?? [])].map((source) => source.entry) : [];
  };
  return { context, files, listed, warnings };
}

Archive("what is ignored is not there, and its folders are when something in them is let in again", async () => {
  const entries = [
    folder("a"),
    file("a/x"),
    file("a/y"),
    folder("b"),
    file("b/z"),
    folder("c"),
    file("d", { uid: 5, gid: 6 }),
  ];
  const { listed } = await archiveOf(entries, "a\nb\n!a/y\n");
  const found = await listed();
  assert.equal(
    found.map(({ path }) => path),
    ["a", "a/y", "c", "d"],
  );
  assert.ok(
    found.every(({ uid, gid }) => uid === 0 && gid === 0),
    "they belong to root",
  );
});

Archive("a hard link to a file that is ignored has the content itself", async () => {
  const source = { kind: "blob", blob: 0, offset: 512 } as const;
  const { listed } = await archiveOf([file("a", { size: 3, source }), hardlink("b", "a"), hardlink("c", "b")], "a\n");
  const found = await listed();
  assert.equal(
    found.map(({ path, type, size }) => [path, type, size]),
    [
      ["b", EntryType.file, 3],
      ["c", EntryType.file, 3],
    ],
  );
});

Archive("what can be in no image is left out with a warning", async () => {
  const { listed, warnings } = await archiveOf([
    entry("p\u001b", EntryType.fifo),
    entry("n", EntryType.blockDevice),
    file("f"),
  ]);
  assert.equal(
    (await listed()).map(({ path }) => path),
    ["f"],
  );
  assert.is(warnings.length, 2);
  assert.match(warnings.join("\n"), /p\\x1b is no file/);
});

Archive("the names of marks are refused, unless they are ignored", async () => {
  const { files } = await archiveOf([mark("a/.wh.b")]);
  assert.is((await failure(files)).code, "build.markName");
  assert.equal(
    (await (await archiveOf([mark("a/.wh.b"), file("c")], "a\n")).listed()).map(({ path }) => path),
    ["c"],
  );
});

Archive("a missing source knows the rule that keeps it out", async () => {
  const { files } = await archiveOf([file("a"), file("b")], "x\na\n");
  const results = await (await files()).select(
    ["a", "n", "b"].map((name) => sourcePattern(name, false)),
    false,
  );
  assert.equal(results.slice(0, 2), [
    { kind: "missing", rule: 1 },
    { kind: "missing", rule: undefined },
  ]);
  assert.is(results[2]?.kind, "found");
});

Archive("texts are found through links, and only there", async () => {
  const { context } = await archiveOf([
    symlink("loop", "loop"),
    hardlink("self", "self"),
    folder("d"),
    symlink("out", "../../etc/passwd"),
  ]);
  for (const name of ["loop", "self", "d", "out", "none", "d/none"])
    assert.is(await context.readText(name), undefined, name);
  const { context: large } = await archiveOf([file("big", { size: LARGEST_TEXT + 1 })]);
  assert.is((await failure(() => large.readText("big"))).code, "build.tooLarge");
});

Archive("no table is too strange", async () => {
  const odd = [
    file("a"),
    file("a/b"),
    hardlink("x", "y"),
    hardlink("y", "x"),
    file(""),
    symlink("l", "l/l"),
    folder("é"),
  ];
  const { files } = await archiveOf(odd);
  const error = await failure(async () => (await files()).select([sourcePattern(".", false)], false));
  assert.is(error.code, "build.brokenLink");
});

Archive.run();

const Found = suite("finding the Dockerfile");

const context = (names: Readonly<Record<string, string>>): BuildContext => ({
  ...noContext,
  readText: async (name) => names[name],
  names: async () => Object.keys(names),
});

Found("the one of the context, by its usual name first", async () => {
  assert.is((await findDockerfile(undefined, context({ Dockerfile: "1", dockerfile: "2" }), true)).text, "1");
  const second = await findDockerfile(undefined, context({ dockerfile: "2", "dockerfile.dockerignore": "x" }), true);
  assert.equal([second.name, second.text], ["dockerfile", "2"]);
  assert.equal(await second.beside(".dockerignore"), { name: "dockerfile.dockerignore", text: "x" });
  assert.is(await second.beside(".other"), undefined);
});

Found("a path that is told is from the working directory first, then from the context", async () => {
  const here = plant(path.join(home, "here"), { "my.Dockerfile": "here", "my.Dockerfile.dockerignore": "beside" });
  const told = path.join(here, "my.Dockerfile");
  const own = await findDockerfile(told, context({ [told]: "context" }), true);
  assert.is(own.text, "here");
  assert.is((await own.beside(".dockerignore"))?.text, "beside");
  const inContext = await findDockerfile(
    "docker/web",
    context({ "docker/web": "2", "docker/web.dockerignore": "3" }),
    true,
  );
  assert.equal([inContext.name, inContext.text], ["docker/web", "2"]);
  assert.equal(
    (await findIgnore(inContext, context({ "docker/web.dockerignore": "3" }))).lines.map(({ pattern }) => pattern),
    ["3"],
  );
  const relative = path.relative(process.cwd(), told);
  assert.is((await findDockerfile(relative, noContext, true)).text, "here");
  assert.is((await failure(() => findDockerfile(relative, noContext, false))).code, "build.noDockerfile");
});

for (const [name, file, names, hint] of [
  ["nothing near", undefined, { "a.txt": "" }, /name one with -f/],
  ["a misspelt one", undefined, { Dokerfile: "", other: "" }, /-f Dokerfile\?/],
  [
    "one with another name",
    undefined,
    { "web.Dockerfile.dockerignore": "", "web.Dockerfile": "" },
    /-f web.Dockerfile\?/,
  ],
  ["another tool's", undefined, { Containerfile: "" }, /-f Containerfile\?/],
  ["a misspelt path", "web.Dokerfile", { "web.Dockerfile": "" }, /-f web.Dockerfile\?/],
  ["a path with nothing near", "docker/nothing", { a: "" }, /from the folder that you are in/],
  ["an absolute path", "/no/such/Dockerfile", { "/no/such/Dockerfile": "x" }, /from the folder/],
] as const) {
  Found(`there is none: ${name}`, async () => {
    const error = await failure(() => findDockerfile(file, context(names), true));
    assert.is(error.code, "build.noDockerfile");
    assert.match(error.hint ?? "", hint);
  });
}

Found("rules that are malformed are told with their file and line", async () => {
  const error = await failure(() => readIgnore("web.dockerignore", "fine\n[\n"));
  assert.is(error.code, "build.pattern");
  assert.match(error.message, /^web\.dockerignore, line 2: /);
});

Found.run();

const Text = suite("files that people write");

const texts = plant(path.join(home, "texts"), {
  plain: "é\r\n",
  empty: "",
  folder: { dir: 0o755 },
  link: { link: "plain" },
  dangling: { link: "nothing" },
  loop: { link: "loop" },
  broken: new Uint8Array([0x61, 0xff, 0x62]),
});
const read = (name: string) => readTextFile(path.join(texts, name), name);

Text("their text is read whole", () => {
  assert.is(read("plain"), "é\r\n");
  assert.is(read("empty"), "");
  assert.is(read("link"), "é\r\n");
  assert.is(read("broken"), "a\ufffdb");
  for (const name of ["none", "dangling", "plain/x", "no/such"]) assert.is(read(name), undefined, name);
});

for (const [name, code, message] of [
  ["folder", "build.unreadable", /folder is a folder/],
  ["loop", "build.unreadable", /too many symbolic links/],
  ["nul\u0000", "build.unreadable", /cannot be read/],
  ["x".repeat(300), "build.unreadable", /ENAMETOOLONG/],
] as const) {
  Text(`${JSON.stringify(name).slice(0, 20)}: ${code}`, async () => {
    const error = await failure(() => read(name));
    assert.is(error.code, code);
    assert.match(error.message, message);
  });
}

Text("as large as may be, and not a byte more", async () => {
  fs.writeFileSync(path.join(texts, "large"), Buffer.alloc(LARGEST_TEXT, "#"));
  assert.is(read("large")?.length, LARGEST_TEXT);
  fs.appendFileSync(path.join(texts, "large"), "#");
  assert.is((await failure(() => read("large"))).code, "build.tooLarge");
  assert.is((await failure(() => readTextFile("/dev/zero", "zero", true))).code, "build.tooLarge");
  assert.is((await failure(() => readTextFile("/dev/zero", "zero"))).code, "build.unreadable", "not named by the user");
});

Text("a folder that is no context", async () => {
  const { tools } = toolsFor();
  for (const name of ["plain", "none", "loop"]) {
    const error = await failure(() => new FolderContext(path.join(texts, name), "the build context", tools));
    assert.is(error.code, "build.context", name);
  }
  const one = new FolderContext(texts, "the build context", tools);
  fs.symlinkSync("texts", path.join(home, "texts-link"));
  assert.is(new FolderContext(path.join(home, "texts-link"), "x", tools).identity, one.identity);
  assert.is(await one.readText("plain"), "é\r\n");
  assert.ok((await one.names()).includes("plain"));
});

Text.run();
