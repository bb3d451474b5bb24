import * as fs from "node:fs";
import * as path from "node:path";
import { extract } from "tar-stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Image } from "../../src/oci/image.ts";
import { openStore, type Store } from "../../src/oci/layout/store.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { type FakeOptions, runCommand, type Told } from "../support/fake-shell.ts";
import { sampleImage } from "../support/sample-image.ts";
import { workspace } from "../support/workspace.ts";

// The tables are what docker 28 prints for the same images.
interface Context {
  root: string;
  store: Store;
  old: Image;
  young: Image;
  /** Runs a command with the store. */
  kbuild(argv: readonly string[], options?: FakeOptions): Promise<Told>;
}

const Images = suite<Context>("commands for images");

Images.before.each(async (context) => {
  context.root = path.join(workspace("kbuild-cli"), "store");
  context.store = openStore(context.root, { create: true });
  context.old = await sampleImage(
    context.store,
    [
      {
        files: { "a/b": "12345", c: "678" },
        gzip: true,
        createdBy: "COPY a very long instruction that goes beyond forty-five characters / # buildkit",
      },
    ],
    { created: "2023-01-01T00:00:00Z" },
  );
  context.young = await sampleImage(context.store, [{ files: { d: "x".repeat(1_234_567) } }, { files: { e: "1" } }], {
    created: "2025-12-01T01:00:00+01:00",
    config: { Labels: { b: "2", a: "<1>" }, ExposedPorts: { "80/tcp": {} }, Entrypoint: ["x"] },
  });
  await context.store.tag(
    [parseReference("web-ping:v1"), parseReference("ghcr.io/x/web-ping:v1")],
    context.old.descriptor,
  );
  await context.store.tag([parseReference("young")], context.young.descriptor);
  context.kbuild = ([first = "", ...rest], options) => {
    const name = first === "image" ? [first, ...rest.splice(0, 1)] : [first];
    return runCommand([...name, "--root", context.root, ...rest], options);
  };
});

/** What stands for IDs in expected texts. */
function filled(text: string, { old, young }: Context): string {
  return text
    .replaceAll("OLD_LONG_ID", old.id)
    .replaceAll("YOUNG_LONG_ID", young.id)
    .replaceAll("OLD_DIGEST", old.descriptor.digest)
    .replaceAll("YOUNG_DIGEST", young.descriptor.digest)
    .replaceAll("OLD_SHORTID", old.id.slice(7, 19))
    .replaceAll("YOUNG_SHORT_", young.id.slice(7, 19));
}

const good: readonly { readonly name: string; readonly argv: readonly string[]; readonly prints: string }[] = [
  {
    name: "image ls is docker's table, newest first",
    argv: ["image", "ls"],
    prints: `REPOSITORY           TAG       IMAGE ID       CREATED       SIZE
young                latest    YOUNG_SHORT_   4 weeks ago   1.23MB
web-ping             v1        OLD_SHORTID   3 years ago   8B
ghcr.io/x/web-ping   v1        OLD_SHORTID   3 years ago   8B
`,
  },
  {
    name: "images is image ls, and --all changes nothing",
    argv: ["images", "-a", "young"],
    prints: `REPOSITORY   TAG       IMAGE ID       CREATED       SIZE
young        latest    YOUNG_SHORT_   4 weeks ago   1.23MB
`,
  },
  {
    name: "--digests adds a column",
    argv: ["image", "ls", "--digests", "young"],
    prints: `REPOSITORY   TAG       DIGEST                                                                    IMAGE ID       CREATED       SIZE
young        latest    YOUNG_DIGEST   YOUNG_SHORT_   4 weeks ago   1.23MB
`,
  },
  {
    name: "--no-trunc shows whole IDs",
    argv: ["image", "ls", "--no-trunc", "young"],
    prints: `REPOSITORY   TAG       IMAGE ID                                                                  CREATED       SIZE
young        latest    YOUNG_LONG_ID   4 weeks ago   1.23MB
`,
  },
  {
    name: "-q shows an ID for each name",
    argv: ["image", "ls", "-q"],
    prints: "YOUNG_SHORT_\nOLD_SHORTID\nOLD_SHORTID\n",
  },
  { name: "-q --no-trunc", argv: ["image", "ls", "-q", "--no-trunc", "young"], prints: "YOUNG_LONG_ID\n" },
  {
    name: "nothing that matches is a headline",
    argv: ["image", "ls", "nothing*"],
    prints: "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n",
  },
  {
    name: "several patterns: any of them",
    argv: ["image", "ls", "-f", "reference=young", "web*"],
    prints: `REPOSITORY   TAG       IMAGE ID       CREATED       SIZE
young        latest    YOUNG_SHORT_   4 weeks ago   1.23MB
web-ping     v1        OLD_SHORTID   3 years ago   8B
`,
  },
  { name: "dangling=true leaves none", argv: ["image", "ls", "-q", "-f", "dangling=true"], prints: "" },
  {
    name: "--format json is an object a line, with docker's keys",
    argv: ["image", "ls", "--format", "json", "young"],
    prints: `{"Containers":"N/A","CreatedAt":"2025-12-01 00:00:00 +0000 UTC","CreatedSince":"4 weeks ago","Digest":"YOUNG_DIGEST","ID":"YOUNG_SHORT_","Repository":"young","SharedSize":"N/A","Size":"1.23MB","Tag":"latest","UniqueSize":"N/A","VirtualSize":"1.23MB"}
`,
  },
  {
    name: "--format with a template has no headline",
    argv: ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}\\t{{.Size}}"],
    prints: "young:latest\t1.23MB\nweb-ping:v1\t8B\nghcr.io/x/web-ping:v1\t8B\n",
  },
  {
    name: "table TEMPLATE has a headline of its own",
    argv: ["image", "ls", "--format", "table {{.ID}}\\t{{.Repository}}\\t{{.CreatedAt}}"],
    prints: `IMAGE ID       REPOSITORY           CREATED AT
YOUNG_SHORT_   young                2025-12-01 00:00:00 +0000 UTC
OLD_SHORTID   web-ping             2023-01-01 00:00:00 +0000 UTC
OLD_SHORTID   ghcr.io/x/web-ping   2023-01-01 00:00:00 +0000 UTC
`,
  },
  {
    name: "functions leave the headline as docker does",
    argv: ["image", "ls", "--format", 'table {{.Tag | printf "%.1s"}}\\t{{.Repository | upper}}:{{.Tag}}x'],
    prints: `T         REPOSITORY:TAGx
l         YOUNG:latestx
v         WEB-PING:v1x
v         GHCR.IO/X/WEB-PING:v1x
`,
  },
  {
    name: "history is docker's table, long instructions cut",
    argv: ["history", "web-ping:v1"],
    prints: `IMAGE          CREATED         CREATED BY                                      SIZE      COMMENT
OLD_SHORTID   20 months ago   CMD ["/bin/hello"]                              0B        buildkit.dockerfile.v0
<missing>      20 months ago   COPY a very long instruction that goes beyon…   8B        buildkit.dockerfile.v0
`,
  },
  {
    name: "--human=false gives exact times and sizes",
    argv: ["history", "-H=false", "web-ping:v1"],
    prints: `IMAGE          CREATED AT             CREATED BY                                      SIZE      COMMENT
OLD_SHORTID   2024-05-06T07:08:09Z   CMD ["/bin/hello"]                              0         buildkit.dockerfile.v0
<missing>      2024-05-06T07:08:09Z   COPY a very long instruction that goes beyon…   8         buildkit.dockerfile.v0
`,
  },
  {
    name: "history --no-trunc",
    argv: ["image", "history", "--no-trunc", "web-ping:v1"],
    prints: `IMAGE                                                                     CREATED         CREATED BY                                                                         SIZE      COMMENT
OLD_LONG_ID   20 months ago   CMD ["/bin/hello"]                                                                 0B        buildkit.dockerfile.v0
<missing>                                                                 20 months ago   COPY a very long instruction that goes beyond forty-five characters / # buildkit   8B        buildkit.dockerfile.v0
`,
  },
  { name: "history -q", argv: ["history", "-q", "web-ping:v1"], prints: "OLD_SHORTID\n<missing>\n" },
  {
    name: "history with a template",
    argv: ["history", "--format", "table {{.ID}}\\t{{.Size}}", "web-ping:v1"],
    prints: "IMAGE          SIZE\nOLD_SHORTID   0B\n<missing>      8B\n",
  },
  {
    name: "history as JSON",
    argv: ["history", "--format", "{{json .}}", "young"],
    prints: `{"Comment":"buildkit.dockerfile.v0","CreatedAt":"2024-05-06T07:08:09Z","CreatedBy":"CMD [\\"/bin/hello\\"]","CreatedSince":"20 months ago","ID":"YOUNG_SHORT_","Size":"0B"}
{"Comment":"buildkit.dockerfile.v0","CreatedAt":"2024-05-06T07:08:09Z","CreatedBy":"COPY 1 / # buildkit","CreatedSince":"20 months ago","ID":"<missing>","Size":"1B"}
{"Comment":"buildkit.dockerfile.v0","CreatedAt":"2024-05-06T07:08:09Z","CreatedBy":"COPY 0 / # buildkit","CreatedSince":"20 months ago","ID":"<missing>","Size":"1.23MB"}
`,
  },
  ...(
    [
      ["{{.Id}}", "YOUNG_LONG_ID"],
      [
        "{{.Config.Labels}}|{{.Config.Env}}|{{.Config.Volumes}}|{{.Config.OnBuild}}|{{.Config.Cmd}}|{{.Config.Entrypoint}}",
        "map[a:<1> b:2]|[]|map[]|[]|[]|[x]",
      ],
      ["{{.Config.Labels.a}}{{.Config.Labels.none}}", "<1><no value>"],
      ["{{.Config.Healthcheck}}{{.Config.Shell}}{{.Variant}}{{.Config.StopSignal}}", "<nil>[]"],
      ["{{json .Config.Labels}}{{json .Config.Cmd}}", '{"a":"<1>","b":"2"}null'],
      ["{{json .Config.ExposedPorts}} {{range $p, $_ := .Config.ExposedPorts}}{{$p}}{{end}}", '{"80/tcp":{}} 80/tcp'],
      ["{{.Size}} {{.Created}} {{.Os}}/{{.Architecture}}", "1234568 2025-12-01T01:00:00+01:00 linux/amd64"],
      ['{{join .RepoTags ","}} a\\tb', "young:latest a\\tb"],
      ["{{.RootFS.Type}} {{len .RootFS.Layers}}", "layers 2"],
    ] as const
  ).map(([format, prints]) => ({
    name: `inspect -f ${format}`,
    argv: ["inspect", "-f", format, "young"],
    prints: `${prints}\n`,
  })),
  { name: "tag is silent", argv: ["tag", "young", "other:1"], prints: "" },
  {
    name: "rmi takes a name away",
    argv: ["rmi", "ghcr.io/x/web-ping:v1"],
    prints: "Untagged: ghcr.io/x/web-ping:v1\n",
  },
  {
    name: "rmi takes the image away with its last name",
    argv: ["image", "rm", "young"],
    prints: "Untagged: young:latest\nDeleted: YOUNG_LONG_ID\n",
  },
];

for (const { name, argv, prints } of good) {
  Images(name, async (context) => {
    const told = await context.kbuild(argv);
    assert.is(told.stderr, "");
    assert.is(told.stdout, filled(prints, context));
    assert.is(told.status, 0);
  });
}

const bad: readonly {
  readonly name: string;
  readonly argv: readonly string[];
  readonly status: number;
  readonly stdout?: string;
  readonly says: RegExp;
}[] = [
  {
    name: "an unknown filter",
    argv: ["image", "ls", "-f", "danglin=true"],
    status: 2,
    says: /there is no filter danglin[\s\S]*did you mean dangling/,
  },
  {
    name: "a filter that is not there yet",
    argv: ["image", "ls", "-f", "label=x"],
    status: 2,
    says: /--filter label is not supported yet/,
  },
  {
    name: "a bad boolean of a filter",
    argv: ["image", "ls", "-f", "dangling=maybe"],
    status: 2,
    says: /"maybe": this is neither true nor false/,
  },
  { name: "a filter without a value", argv: ["image", "ls", "-f", "dangling"], status: 2, says: /NAME=VALUE/ },
  { name: "two patterns", argv: ["image", "ls", "a", "b"], status: 2, says: /does not take "b"/ },
  {
    name: "a template that is malformed",
    argv: ["image", "ls", "--format", "{{.ID"],
    status: 2,
    says: /"\{\{\.ID", character 1: this action is not closed/,
  },
  {
    name: "a field that is not there",
    argv: ["image", "ls", "--format", "{{.Name}}"],
    status: 2,
    says: /no field Name/,
  },
  { name: "history of nothing", argv: ["history", "nothing"], status: 1, says: /^error: no such image: nothing\n/ },
  { name: "history without an image", argv: ["history"], status: 2, says: /kbuild history needs an image/ },
  {
    name: "inspect of nothing prints an empty list",
    argv: ["image", "inspect", "nothing"],
    status: 1,
    stdout: "[]\n",
    says: /no such image: nothing/,
  },
  {
    name: "inspect prints what it finds",
    argv: ["inspect", "-f", "{{.Os}}", "nothing", "young", "none"],
    status: 1,
    stdout: "linux\n",
    says: /no such image: nothing\n {2}no such image: none\n/,
  },
  {
    name: "inspect looks at the template first",
    argv: ["inspect", "-f", "{{nofunc 1}}", "nothing"],
    status: 2,
    says: /there is no function nofunc/,
  },
  {
    name: "rmi goes on after a name that is wrong",
    argv: ["rmi", "nothing", "young"],
    status: 1,
    stdout: "Untagged: young:latest\nDeleted: YOUNG_LONG_ID\n",
    says: /no such image: nothing/,
  },
  {
    name: "rmi -f tells what is not there, and that is no failure",
    argv: ["rmi", "-f", "nothing"],
    status: 0,
    says: /^note: no such image: nothing\n$/,
  },
  {
    name: "rmi of an ID with several names",
    argv: ["rmi", "OLD_SHORTID"],
    status: 1,
    says: /has several names: web-ping:v1, ghcr.io\/x\/web-ping:v1/,
  },
  { name: "tag of nothing", argv: ["tag", "nothing", "x"], status: 1, says: /no such image/ },
  { name: "tag with a bad name", argv: ["tag", "young", "UPPER"], status: 2, says: /lower/ },
  { name: "tag with one name", argv: ["tag", "young"], status: 2, says: /needs an image and the name/ },
  {
    name: "save of nothing writes nothing",
    argv: ["save", "young", "nothing"],
    status: 1,
    says: /no such image: nothing/,
  },
  {
    name: "save into a folder that is not there",
    argv: ["save", "-o", "/proc/nonexistent/x.tar", "young"],
    status: 4,
    says: /x\.tar cannot be written/,
  },
  { name: "save onto a folder", argv: ["save", "-o", "/", "young"], status: 2, says: /is a folder/ },
  { name: "save without an image", argv: ["save"], status: 2, says: /needs an image/ },
];

for (const { name, argv, status, stdout, says } of bad) {
  Images(`${name} is told`, async (context) => {
    const told = await context.kbuild(argv.map((word) => filled(word, context)));
    assert.match(told.stderr, says);
    assert.is(told.stdout, filled(stdout ?? "", context));
    assert.is(told.status, status);
  });
}

Images("images without a name and a tag are <none>", async ({ store, young, kbuild }) => {
  const other = await sampleImage(store, [{ files: { z: "zz" } }], { created: "not a time" });
  await store.tag([], other.descriptor);
  await store.tag([parseReference(`node@${young.descriptor.digest}`)], young.descriptor);
  const { stdout } = await kbuild(["image", "ls", "-f", "dangling=true"]);
  assert.is(
    stdout,
    `REPOSITORY   TAG       IMAGE ID       CREATED   SIZE\n<none>       <none>    ${other.id.slice(7, 19)}   N/A       2B\n`,
  );
  assert.match((await kbuild(["image", "ls", "node"])).stdout, /^node +<none> /m);
});

Images("rmi -f takes all names of an ID", async ({ old, kbuild }) => {
  const { stdout } = await kbuild(["rmi", "-f", old.id.slice(7, 19)]);
  assert.is(stdout, `Untagged: web-ping:v1\nUntagged: ghcr.io/x/web-ping:v1\nDeleted: ${old.id}\n`);
});

Images("tag gives a name", async ({ young, store, kbuild }) => {
  await kbuild(["image", "tag", "young", "localhost:5000/y:1"]);
  assert.is(store.resolve("localhost:5000/y:1")?.digest, young.descriptor.digest);
});

Images("inspect is JSON as docker indents it", async ({ young, kbuild }) => {
  const { stdout } = await kbuild(["inspect", "young", "web-ping:v1"]);
  assert.ok(
    stdout.startsWith(
      `[\n    {\n        "Id": "${young.id}",\n        "RepoTags": [\n            "young:latest"\n        ],\n`,
    ),
  );
  assert.ok(stdout.endsWith("\n    }\n]\n"));
  assert.is((JSON.parse(stdout) as unknown[]).length, 2);
  const { stdout: line } = await kbuild(["inspect", "-f", "json", "young"]);
  assert.is(line.split("\n").length, 2);
  assert.equal(JSON.parse(line), [(JSON.parse(stdout) as unknown[])[0]]);
});

Images("where there is no store there are no images", async () => {
  const root = path.join(workspace(), "none");
  const told = await runCommand(["image", "ls", "--root", root]);
  assert.is(told.stdout, "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n");
  assert.not(fs.existsSync(root), "looking makes nothing");
});

async function namesIn(archive: Uint8Array): Promise<string[]> {
  const reader = extract();
  reader.end(archive);
  const names: string[] = [];
  for await (const entry of reader) {
    names.push(entry.header.name);
    entry.resume();
  }
  return names;
}

Images("save writes one archive, to a file or to standard output", async ({ kbuild }) => {
  const folder = workspace();
  const file = path.join(folder, "x.tar");
  const told = await kbuild(["save", "-o", file, "young", "web-ping:v1"]);
  assert.equal([told.status, told.stdout, told.stderr], [0, "", ""]);
  assert.equal(fs.readdirSync(folder), ["x.tar"]);
  const bytes = fs.readFileSync(file);
  assert.ok((await namesIn(bytes)).includes("manifest.json"));
  const piped = await kbuild(["save", "young", "web-ping:v1"]);
  assert.ok(piped.bytes.equals(bytes));
  const dash = await kbuild(["save", "-o", "-", "young", "web-ping:v1"]);
  assert.ok(dash.bytes.equals(bytes));
});

Images("save does not write to a terminal", async ({ kbuild }) => {
  const told = await kbuild(["save", "young"], { terminal: { columns: 80 } });
  assert.is(told.status, 2);
  assert.match(told.stderr, /not written to a terminal[\s\S]*-o FILE/);
  assert.is(told.stdout, "");
});

Images("save follows a link, and writes to what is no file as it is", async ({ kbuild }) => {
  const folder = workspace();
  fs.writeFileSync(path.join(folder, "real.tar"), "old");
  fs.symlinkSync("real.tar", path.join(folder, "link.tar"));
  assert.is((await kbuild(["save", "-o", path.join(folder, "link.tar"), "young"])).status, 0);
  assert.ok(fs.lstatSync(path.join(folder, "link.tar")).isSymbolicLink());
  assert.ok((await namesIn(fs.readFileSync(path.join(folder, "real.tar")))).includes("oci-layout"));
  assert.is((await kbuild(["save", "-o", "/dev/null", "young"])).status, 0);
  assert.ok(fs.statSync("/dev/null").isCharacterDevice());
});

Images("a save that fails or is interrupted leaves what was there", async ({ kbuild, young }) => {
  const folder = workspace();
  const file = path.join(folder, "x.tar");
  fs.writeFileSync(file, "earlier");
  const layer = young.layers[0]?.path ?? "";
  const { build: _, ...engine } = await import("../../src/api.ts");
  for (const [name, status] of [
    ["fails", 4],
    ["interrupted", 130],
  ] as const) {
    const told = await kbuild(["save", "-o", file, "young"], {
      engine: {
        planArchiveOf: async (names, options) => {
          const plan = await engine.planArchiveOf(names, options);
          // After planning, so that it is found out in the middle.
          if (name === "fails") fs.truncateSync(layer, 100);
          return {
            write: (output) => {
              const controller = new AbortController();
              if (name === "interrupted") output.once("drain", () => controller.abort());
              return plan.write(output, { signal: controller.signal });
            },
          };
        },
      },
    });
    assert.is(told.status, status, told.stderr);
    assert.equal(fs.readdirSync(folder), ["x.tar"]);
    assert.is(fs.readFileSync(file, "utf8"), "earlier");
    fs.truncateSync(layer, young.layers[0]?.descriptor.size ?? 0);
  }
});

Images("what an image says of itself controls no terminal", async ({ store, kbuild }) => {
  const evil = "a\u001b]0;title\u0007b\u009b31m\nc\u202e";
  const image = await sampleImage(store, [{ files: { e: "e" }, createdBy: evil }], {
    created: "2026-01-01T00:00:00Z",
    author: evil,
    config: { Labels: { evil }, Env: [`E=${evil}`] },
  });
  await store.tag([parseReference("evil")], image.descriptor);
  const terminal = { columns: 100 };
  for (const argv of [
    ["history", "evil"],
    ["history", "--no-trunc", "evil"],
    ["history", "--format", "{{.CreatedBy}}", "evil"],
    ["history", "--format", "table {{.CreatedBy}}", "evil"],
    ["history", "--format", "json", "evil"],
    ["inspect", "evil"],
    ["inspect", "-f", "{{.Author}} {{.Config.Labels}}", "evil"],
    ["inspect", "-f", "json", "evil"],
  ]) {
    const { stdout } = await kbuild(argv, { terminal });
    assert.not.match(stdout, CONTROLS, argv.join(" "));
  }
  const piped = await kbuild(["inspect", "-f", "{{.Author}}", "evil"]);
  assert.is(piped.stdout, `${evil}\n`, "a script gets what is there");
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

Images.run();
