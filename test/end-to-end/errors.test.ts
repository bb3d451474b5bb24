import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { available, has, kbuildWith, run } from "../support/command.ts";
import { unsound } from "../support/store-check.ts";
import { listing, type Planted, plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
await kbuild.must([
  "-q",
  "-t",
  "keeper:1",
  plant(path.join(folder, "keeper"), { Dockerfile: "FROM scratch\nCOPY a /\n", a: "a\n" }),
]);

interface Row {
  readonly name: string;
  readonly files: Readonly<Record<string, Planted>>;
  readonly argv?: readonly string[];
  readonly status: number;
  /** What the first line of the error begins with: the place. */
  readonly place?: string;
  /** Each must be found in what is printed. */
  readonly says: readonly RegExp[];
}

const rows: readonly Row[] = [
  {
    name: "no Dockerfile",
    files: { "a.txt": "" },
    status: 1,
    says: [/Dockerfile/, /no such file|not found|there is no|does not exist/i],
  },
  {
    name: "a Dockerfile under another name",
    files: { "web.Dockerfile": "FROM scratch\n" },
    status: 1,
    says: [/no Dockerfile/, /-f web\.Dockerfile/],
  },
  { name: "an empty Dockerfile", files: { Dockerfile: "# nothing\n" }, status: 1, says: [/FROM|instruction/] },
  {
    name: "an unknown instruction",
    files: { Dockerfile: "FROM scratch\n\nCOPPY a b\n" },
    status: 1,
    place: "Dockerfile:3",
    says: [/COPPY/, /COPY/, /3 \|.*COPPY a b/],
  },
  {
    name: "FROM missing",
    files: { Dockerfile: "ENV A=1\nFROM scratch\n" },
    status: 1,
    place: "Dockerfile:1",
    says: [/FROM/],
  },
  {
    name: "a trigger that copies from the stage that it runs in",
    files: { Dockerfile: "FROM scratch AS a\nONBUILD COPY --from=b /x /y\nFROM a AS b\nENV A=b\n" },
    status: 1,
    place: "Dockerfile",
    says: [/circle: b -> b/],
  },
  {
    name: "a trigger that copies from a stage that waits for it",
    files: {
      Dockerfile: "FROM scratch AS a\nONBUILD COPY --from=c /x /y\nFROM a AS b\nENV A=b\nFROM b AS c\nENV A=c\n",
    },
    status: 1,
    place: "Dockerfile",
    says: [/circle: b -> c -> b/],
  },
  {
    name: "an unknown stage",
    files: { Dockerfile: "FROM scratch AS build\nCOPY a /\nFROM scratch\nCOPY --from=biuld /a /\n", a: "" },
    status: 3,
    place: "Dockerfile:4",
    says: [/biuld/, /build/],
  },
  {
    name: "an unknown target",
    files: { Dockerfile: "FROM scratch AS build\n" },
    argv: ["--target", "biuld"],
    status: 1,
    says: [/biuld/, /build/],
  },
  {
    name: "a source that is missing",
    files: { Dockerfile: "FROM scratch\nCOPY app.sj /\n", "app.js": "" },
    status: 1,
    place: "Dockerfile:2",
    says: [/app\.sj/, /app\.js/],
  },
  {
    name: "a source that .dockerignore excludes",
    files: { Dockerfile: "FROM scratch\nCOPY app.js /\n", "app.js": "", ".dockerignore": "# c\n*.js\n" },
    status: 1,
    place: "Dockerfile:2",
    says: [/\.dockerignore/, /line 2|:2/],
  },
  {
    name: "a source with ../ that is missing within the context",
    files: { Dockerfile: "FROM scratch\nCOPY ../secret /\n" },
    status: 1,
    place: "Dockerfile:2",
    says: [/secret/, /context/],
  },
  {
    name: "a flag that does not exist",
    files: { Dockerfile: "FROM scratch\nCOPY --chwon=1 a /\n", a: "" },
    status: 1,
    place: "Dockerfile:2",
    says: [/chwon/, /chown/],
  },
  {
    name: "a bad JSON form",
    files: { Dockerfile: 'FROM scratch\nSHELL ["sh", -c]\n' },
    status: 1,
    place: "Dockerfile:2",
    says: [/JSON/],
  },
  {
    name: "an unknown variable in FROM",
    files: { Dockerfile: "FROM $BASE\n" },
    status: 1,
    place: "Dockerfile:1",
    says: [/BASE|blank|empty/],
  },
  {
    name: "a circle of stages",
    files: { Dockerfile: "FROM scratch AS a\nCOPY --from=b /x /\nFROM scratch AS b\nCOPY --from=a /x /\n" },
    status: 1,
    says: [/Dockerfile:/],
  },
  {
    name: "a stage that copies from itself",
    files: { Dockerfile: "FROM scratch AS a\nCOPY --from=a /x /\n" },
    status: 1,
    place: "Dockerfile:2",
    says: [/itself|circular|circle/i],
  },
  {
    name: "RUN in an image that has no shell",
    files: { Dockerfile: "FROM scratch\nRUN true\n" },
    status: 1,
    place: "Dockerfile:2",
    says: [/exec: "\/bin\/sh": stat \/bin\/sh: no such file or directory/, /use the exec form/],
  },
  {
    name: "a file that may not be a folder",
    files: { Dockerfile: "FROM scratch\nCOPY a /x\nCOPY d /x\n", a: "", "d/e": "" },
    status: 1,
    place: "Dockerfile:3",
    says: [/x/],
  },
  {
    name: "a circle of symbolic links",
    files: { Dockerfile: "FROM scratch\nCOPY one /\n", one: { link: "two" }, two: { link: "one" } },
    status: 1,
    place: "Dockerfile:2",
    says: [/one/],
  },
  {
    name: "a base whose name is none",
    files: { Dockerfile: "FROM Not:A:Name\n" },
    status: 1,
    place: "Dockerfile:1",
    says: [/Not:A:Name/],
  },
  {
    name: "a build argument that a word demands",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a Dockerfile's
    files: { Dockerfile: "FROM scratch\nARG v\nLABEL a=${v:?give v}\n" },
    status: 1,
    place: "Dockerfile:3",
    says: [/give v/],
  },
  {
    name: "an option that does not exist",
    files: { Dockerfile: "FROM scratch\n" },
    argv: ["--tagg", "x"],
    status: 2,
    says: [/--tagg/, /--tag\b/],
  },
  {
    name: "a tag that is no name",
    files: { Dockerfile: "FROM scratch\n" },
    argv: ["-t", "UPPER CASE"],
    status: 2,
    says: [/UPPER CASE/],
  },
  {
    name: "a platform that is none",
    files: { Dockerfile: "FROM scratch\n" },
    argv: ["--platform", "a/b/c/d/e"],
    status: 2,
    says: [/a\/b\/c\/d\/e/],
  },
];

const Errors = suite("what goes wrong is said");

for (const [number, row] of rows.entries()) {
  Errors(row.name, async () => {
    const context = plant(path.join(folder, `row-${number}`), row.files);
    const before = fs.readFileSync(path.join(kbuild.root, "index.json"), "utf8");
    const names = listing(kbuild.root, (name) => /^(cache|contexts|locks)/.test(name));
    const done = await kbuild.run(["-q", ...(row.argv ?? []), "."], { cwd: context });
    const text = `${row.name}: status ${done.status}\n${done.stderr}`;
    assert.is(done.status, row.status, text);
    assert.is(done.stdout, "", text);
    for (const pattern of row.says) assert.match(done.stderr, pattern, text);
    const first = done.stderr.split("\n")[0] ?? "";
    if (row.place) assert.ok(first.includes(`${row.place}:`), text);
    assert.not.match(done.stderr, /^ +at .*\(.*\)$/m, `no stack: ${text}`);
    assert.is(fs.readFileSync(path.join(kbuild.root, "index.json"), "utf8"), before, "no name was changed");
    assert.equal(await unsound(kbuild.root), []);
    if (row.name !== "a file that may not be a folder") {
      assert.equal(
        listing(kbuild.root, (name) => /^(cache|contexts|locks)/.test(name)),
        names,
        "nothing new in the store",
      );
    }
  });
}

Errors("a context that is not there, or is a file", async () => {
  for (const context of [path.join(folder, "nowhere"), path.join(folder, "keeper/a")]) {
    const done = await kbuild.run(["-q", context]);
    assert.ok(done.status === 1 || done.status === 2, done.stderr);
    assert.ok(done.stderr.includes(context), done.stderr);
  }
});

Errors("no context at all", async () => {
  const done = await kbuild.run(["build"]);
  assert.is(done.status, 2, done.stderr);
});

Errors("a base that does not exist, where no registry can be reached", async () => {
  const context = plant(path.join(folder, "no-registry"), { Dockerfile: "FROM 127.0.0.1:1/none:1\n" });
  const done = await kbuild.run(["-q", context]);
  assert.is(done.status, 3, done.stderr);
  assert.match(done.stderr.split("\n")[0] ?? "", /Dockerfile:1:/);
  assert.match(done.stderr, /127\.0\.0\.1:1/);
  assert.equal(await unsound(kbuild.root), []);
});

Errors("a store that may not be written", async () => {
  const root = plant(path.join(folder, "locked"), { file: "x" });
  const context = path.join(folder, "keeper");
  const below = await kbuildWith(path.join(root, "file/store")).run(["-q", context]);
  assert.is(below.status, 4, below.stderr);
  assert.ok(below.stderr.includes(path.join(root, "file")), below.stderr);
  if (!available("root", process.getuid?.() === 0)) return;
  const other = path.join(folder, "not-ours");
  fs.mkdirSync(other, { mode: 0o755 });
  const done = await kbuildWith(other).run(["-q", context], { uid: 65534 });
  assert.is(done.status, 4, done.stderr);
  assert.equal(listing(other), []);
});

Errors("a store of a newer version", async () => {
  const kbuild = kbuildWith(path.join(folder, "newer"));
  const context = path.join(folder, "keeper");
  await kbuild.must(["-q", context]);
  for (const [file, text] of [
    ["oci-layout", '{"imageLayoutVersion":"2.0.0"}'],
    ["kbuild-store.json", '{"version":99}'],
  ] as const) {
    const before = fs.readFileSync(path.join(kbuild.root, file));
    fs.writeFileSync(path.join(kbuild.root, file), text);
    const done = await kbuild.run(["-q", context]);
    assert.is(done.status, 4, done.stderr);
    assert.match(done.stderr, /newer|version/);
    fs.writeFileSync(path.join(kbuild.root, file), before);
  }
});

Errors("a full disk", async () => {
  if (!available("root and mount", process.getuid?.() === 0 && has("mount"))) return;
  const root = path.join(folder, "full");
  fs.mkdirSync(root);
  const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", root]);
  if (!available("mounting a tmpfs", mounted.status === 0)) return;
  try {
    const kbuild = kbuildWith(path.join(root, "store"));
    const context = plant(path.join(folder, "big"), {
      Dockerfile: "FROM scratch\nCOPY big /\n",
      big: Buffer.alloc(8_000_000, "x"),
    });
    const done = await kbuild.run(["-q", context]);
    assert.is(done.status, 4, done.stderr);
    assert.match(done.stderr, /full|space/i);
    assert.equal(await unsound(kbuild.root), []);
    const output = path.join(root, "output.tar");
    const other = kbuildWith(path.join(folder, "roomy"));
    const told = await other.run(["-q", "-o", `type=docker,dest=${output}`, context]);
    assert.is(told.status, 4, told.stderr);
    assert.match(told.stderr, /writing .*output\.tar: the disk is full/);
    assert.not(told.stderr.includes("KBUILD_ROOT"), "it is not the store that is full");
    assert.not(fs.readdirSync(root).some((name) => name.includes("output")));
    plant(context, { big: "small\n" });
    await kbuild.must(["-q", context]);
    assert.equal(await unsound(kbuild.root), []);
  } finally {
    await run("umount", [root]);
  }
});

Errors.run();
