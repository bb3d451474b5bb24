import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeBase } from "../../conformance/base.ts";
import { type CommandOptions, type Kbuild, kbuildWith } from "../../support/command.ts";
import { digestOf, readBlob } from "../../support/image-reader.ts";
import { pause } from "../../support/processes.ts";
import { type Planted, plant, workspace } from "../../support/workspace.ts";

const shared = workspace("kbuild-run-cache");
const base = path.join(shared, "busybox");
await writeBase(base);
const BASES = ["--build-context", `busybox=oci-layout://${base}`];
let number = 0;

interface Step {
  /** The instruction. */
  readonly name: string;
  readonly status: string;
  /** The line that says why it was run. */
  readonly why: string | undefined;
}

interface Built {
  /** The steps of instructions, in the order of the file. */
  readonly steps: readonly Step[];
  readonly digest: string;
  readonly status: number | null;
  readonly stderr: string;
}

function newStore(): Kbuild {
  number += 1;
  return kbuildWith(path.join(shared, `store-${number}`));
}

function contextOf(dockerfile: string, files: Readonly<Record<string, Planted>> = {}): string {
  number += 1;
  return plant(path.join(shared, `context-${number}`), { Dockerfile: dockerfile, ...files });
}

async function build(
  kbuild: Kbuild,
  context: string,
  argv: readonly string[] = [],
  options: CommandOptions = {},
): Promise<Built> {
  const done = await kbuild.run(["--progress=json", "-t", "it:1", ...BASES, ...argv, context], options);
  const steps = new Map<number, Step>();
  for (const line of done.stderr.split("\n").filter((text) => text.startsWith("{"))) {
    const event = JSON.parse(line) as Record<string, string> & { readonly step: number };
    if (event.type === "stepPlanned" && event.kind === "instruction") {
      steps.set(event.step, { name: (event.name ?? "").replace(/^\[.*?\] /, ""), status: "not begun", why: undefined });
    }
    const known = steps.get(event.step);
    if (event.type !== "stepFinished" || known === undefined) continue;
    steps.set(event.step, { ...known, status: event.status ?? "", why: event.missReason });
  }
  const digest = digestOf(kbuild.root, "it:1") ?? "";
  return { steps: [...steps.values()], digest, status: done.status, stderr: done.stderr };
}

async function mustBuild(...parameters: Parameters<typeof build>): Promise<Built> {
  const built = await build(...parameters);
  if (built.status !== 0) throw new Error(built.stderr);
  return built;
}

const statuses = ({ steps }: Built): string[] => steps.map(({ status }) => status);

function historyIn(root: string, digest: string): { created: string; created_by: string; empty_layer?: boolean }[] {
  const manifest = JSON.parse(readBlob(root, digest).toString()) as { config: { digest: string } };
  return (JSON.parse(readBlob(root, manifest.config.digest).toString()) as { history: never[] }).history;
}

const Cache = suite("the cache of RUN");

// ------------------------------------------------------------------ what a step is known by

const MANY = `FROM busybox AS other
ARG NOTE=x
RUN mkdir /o && echo "$NOTE" >/o/file
FROM busybox
ARG A=1
ENV E=1
USER root
WORKDIR /w
SHELL ["/bin/sh", "-c"]
RUN --mount=type=bind,source=src,target=/src --mount=type=bind,from=other,source=/o,target=/o \\
 --mount=type=cache,target=/cache --mount=type=secret,id=s,env=S --mount=type=ssh cat /src/* /o/file >/out; date >>/cache/log
`;
const MANY_FILES = { "src/a": "a\n", "src/b": "b\n", "not-mounted": "1\n" };

interface Change {
  readonly name: string;
  /** Replacements in the Dockerfile. */
  readonly text?: readonly [string, string];
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly change?: (context: string) => void;
  /** The line that says why it runs again; undefined: it does not. */
  readonly why: string | undefined;
}

const agent = path.join(shared, "agent");

const CHANGES: readonly Change[] = [
  { name: "nothing", why: undefined },
  { name: "the value of an ARG", argv: ["--build-arg", "A=2"], why: "changed: $A" },
  { name: "the default of an ARG", text: ["ARG A=1", "ARG A=3"], why: "changed: $A" },
  { name: "one more ARG", text: ["ARG A=1", "ARG A=1 B=2"], why: "changed: $B" },
  { name: "an ARG that is taken out", text: ["ARG A=1", "ARG C=1"], why: "changed: $A, $C" },
  { name: "an ARG that nobody declares", argv: ["--build-arg", "NOBODY=2"], why: undefined },
  { name: "an ARG of another stage that changes nothing here", text: ["mkdir /o", "mkdir  /o"], why: undefined },
  { name: "the value of an ENV", text: ["ENV E=1", "ENV E=2"], why: "changed: $E" },
  { name: "USER", text: ["USER root", "USER 0:1"], why: "changed: USER" },
  { name: "WORKDIR", text: ["WORKDIR /w", "WORKDIR /v"], why: "changed: WORKDIR" },
  {
    name: "SHELL",
    text: ['"-c"]', '"-ec"]'],
    why: "the instruction changed, it was: RUN /bin/sh -c cat /src/* /o/file >/out; date >>/cache/log",
  },
  {
    name: "the instruction",
    text: [">/out;", ">/other;"],
    why: "the instruction changed, it was: RUN /bin/sh -c cat /src/* /o/file >/out; date >>/cache/log",
  },
  {
    name: "spaces and comments",
    text: ["RUN --mount=type=bind,source=src", "# Why\nRUN   --mount=type=bind,source=src"],
    why: undefined,
  },
  { name: "an option of a mount", text: ["target=/src", "target=/src,rw"], why: "changed: the mount /src" },
  { name: "--network", text: ["--mount=type=ssh", "--mount=type=ssh --network=none"], why: "changed: --network" },
  {
    name: "a file of the context that is mounted",
    change: (context) => fs.writeFileSync(path.join(context, "src/b"), "other\n"),
    why: "changed: what is mounted at /src",
  },
  {
    name: "the mode of a file that is mounted",
    change: (context) => fs.chmodSync(path.join(context, "src/b"), 0o755),
    why: "changed: what is mounted at /src",
  },
  {
    name: "one more file in a folder that is mounted",
    change: (context) => fs.writeFileSync(path.join(context, "src/c"), ""),
    why: "changed: what is mounted at /src",
  },
  {
    name: "a file of the context that is not mounted",
    change: (context) => fs.writeFileSync(path.join(context, "not-mounted"), "2\n"),
    why: undefined,
  },
  {
    name: "times of files that are mounted",
    change: (context) => {
      for (const name of ["src/a", "src/b", "src"])
        fs.utimesSync(path.join(context, name), 1_000_000_000, 1_100_000_000);
    },
    why: undefined,
  },
  {
    name: "a file of the stage that is mounted",
    argv: ["--build-arg", "NOTE=y"],
    why: "changed: what is mounted at /o",
  },
  {
    name: "proxies",
    argv: ["--build-arg", "http_proxy=http://proxy:1", "--build-arg", "NO_PROXY=here"],
    why: undefined,
  },
  { name: "a secret", argv: ["--secret", "id=s,env=SECRET"], env: { SECRET: "one" }, why: undefined },
  { name: "another value of a secret", argv: ["--secret", "id=s,env=SECRET"], env: { SECRET: "two" }, why: undefined },
  { name: "an agent", argv: ["--ssh", `default=${agent}`], why: undefined },
];

Cache("is asked again when something changes that a step can see, and the line below the step says what", async () => {
  const kbuild = newStore();
  const context = contextOf(MANY, MANY_FILES);
  const listener = net.createServer().listen(agent);
  try {
    let isAsBefore = false;
    for (const { name, text, argv = [], env = {}, change, why } of CHANGES) {
      // What ran last is what it is compared with.
      if (!isAsBefore) await mustBuild(kbuild, context);
      isAsBefore = why === undefined;
      assert.ok(text === undefined || MANY.includes(text[0]), `${name}: ${text?.[0]}`);
      const changed = contextOf(text === undefined ? MANY : MANY.replace(...text), MANY_FILES);
      change?.(changed);
      fs.cpSync(changed, context, { recursive: true, preserveTimestamps: true });
      const { steps } = await mustBuild(kbuild, context, argv, { env });
      const step = steps.at(-1);
      assert.equal([step?.status, step?.why], [why === undefined ? "cached" : "done", why], name);
      fs.rmSync(context, { recursive: true });
      plant(context, { Dockerfile: MANY, ...MANY_FILES });
    }
  } finally {
    listener.close();
  }
});

Cache("a heredoc with an interpreter is known by its text", async () => {
  const kbuild = newStore();
  const text = (word: string) => `FROM busybox\nRUN <<EOF\n#!/bin/sh\necho ${word} >/out\nEOF\n`;
  await mustBuild(kbuild, contextOf(text("one")));
  const context = contextOf(text("one"));
  await mustBuild(kbuild, context);
  fs.writeFileSync(path.join(context, "Dockerfile"), text("two"));
  const { steps } = await mustBuild(kbuild, context);
  assert.equal([steps[0]?.status, steps[0]?.why], ["done", "changed: the script"]);
});

Cache("the content of a cache mount does not count: a step that filled it is not run again", async () => {
  const kbuild = newStore();
  const fills = contextOf(
    "FROM busybox\nRUN --mount=type=cache,target=/c echo more >>/c/log && wc -l </c/log >/count\n",
  );
  await mustBuild(kbuild, fills);
  await mustBuild(kbuild, contextOf("FROM busybox\nRUN --mount=type=cache,target=/c echo other >>/c/log\n"));
  assert.equal(statuses(await mustBuild(kbuild, fills)), ["cached"]);
  const { steps } = await mustBuild(kbuild, fills, ["--no-cache"]);
  assert.equal([steps[0]?.status, steps[0]?.why], ["done", "the cache is not used"]);
});

// ------------------------------------------------------------------ early cut-off

Cache(
  "a step that runs again and comes to the same leaves all later steps cached, and the image the same",
  async () => {
    const kbuild = newStore();
    const files = { "src/code": "1\n", last: "last\n" };
    const context = contextOf(
      `FROM busybox AS build
RUN --mount=type=bind,source=src,target=/src test -e /src/code && echo always >/out && mkdir /folder
RUN echo after >/after
FROM busybox
COPY --from=build /out /out
RUN --mount=type=bind,from=build,target=/build cat /build/after >/seen
COPY last /
`,
      files,
    );
    const one = await mustBuild(kbuild, context);
    assert.equal(statuses(one), ["done", "done", "done", "done", "done"]);
    // A time that the history would show.
    await pause(1100);
    fs.writeFileSync(path.join(context, "src/code"), "2\n");
    const two = await mustBuild(kbuild, context);
    assert.equal(statuses(two), ["done", "cached", "cached", "cached", "cached"]);
    assert.is(two.digest, one.digest);
    assert.equal(statuses(await mustBuild(kbuild, context)), ["cached", "cached", "cached", "cached", "cached"]);
  },
);

Cache("also one of the image itself, and one that changes nothing: the digest stays", async () => {
  const kbuild = newStore();
  const context = contextOf(
    `FROM busybox
RUN --mount=type=bind,target=/src cat /src/code >/dev/null && echo always >/out
RUN --mount=type=bind,target=/src cat /src/code >/dev/null
RUN echo after >/after
`,
    { code: "1\n" },
  );
  const one = await mustBuild(kbuild, context);
  await pause(1100);
  fs.writeFileSync(path.join(context, "code"), "2\n");
  const two = await mustBuild(kbuild, context);
  assert.equal(statuses(two), ["done", "done", "cached"]);
  assert.is(two.digest, one.digest);
  fs.writeFileSync(path.join(context, "code"), "3\n");
  const three = await mustBuild(kbuild, context, ["--no-cache"]);
  assert.is.not(three.digest, one.digest, "without the cache it is made anew");
});

Cache("other content is no early cut-off: what builds on it runs", async () => {
  const kbuild = newStore();
  const context = contextOf(
    "FROM busybox\nRUN --mount=type=bind,target=/src cat /src/code >/out\nRUN echo after >/after\n",
    { code: "1\n" },
  );
  await mustBuild(kbuild, context);
  fs.writeFileSync(path.join(context, "code"), "2\n");
  const { steps } = await mustBuild(kbuild, context);
  assert.equal(
    steps.map(({ why }) => why),
    ["changed: what is mounted at /src", "what it builds on changed"],
  );
});

// ------------------------------------------------------------------ nothing changed

Cache("a step that changes nothing makes no layer, the history says so, and it is cached", async () => {
  const kbuild = newStore();
  const context = contextOf(
    `FROM busybox
RUN true
RUN echo x >/dev/shm/x && echo y >/dev/null
RUN touch /bin/busybox && chmod 0755 /etc && echo x >/x
RUN --mount=type=cache,target=/c touch /c/x
`,
  );
  const one = await mustBuild(kbuild, context);
  const history = historyIn(kbuild.root, one.digest).slice(-4);
  assert.equal(
    history.map(({ created_by, empty_layer }) => [created_by.includes("echo x >/x"), empty_layer === true]),
    [
      [false, true],
      [false, true],
      [true, false],
      [false, true],
    ],
  );
  const shown = await kbuild.must(["history", "--no-trunc", "--format", "{{.Size}} {{.CreatedBy}}", "it:1"]);
  assert.match(shown.stdout, /^0B RUN \/bin\/sh -c true$/m);
  assert.match(shown.stdout, /^0B RUN \/bin\/sh -c touch \/c\/x$/m);
  assert.match(shown.stdout, /^\d+(\.\d+)?[kMG]?B RUN .*chmod 0755 \/etc && echo x >\/x$/m);
  const two = await mustBuild(kbuild, context);
  assert.equal(statuses(two), ["cached", "cached", "cached", "cached"]);
  assert.is(two.digest, one.digest);
});

// ------------------------------------------------------------------ --no-cache

Cache("--no-cache runs all, --no-cache-filter the stages that it names", async () => {
  const kbuild = newStore();
  const context = contextOf(
    `FROM busybox AS one
RUN cat /proc/sys/kernel/random/uuid >/one
FROM busybox AS two
RUN cat /proc/sys/kernel/random/uuid >/two
FROM busybox
COPY --from=one /one /
COPY --from=two /two /
`,
  );
  await mustBuild(kbuild, context);
  const all = await mustBuild(kbuild, context, ["--no-cache"]);
  assert.equal(
    all.steps.map(({ why }) => why),
    Array(4).fill("the cache is not used"),
  );
  assert.equal(statuses(await mustBuild(kbuild, context)), Array(4).fill("cached"));
  const filtered = await mustBuild(kbuild, context, ["--no-cache-filter", "two"]);
  assert.equal(statuses(filtered), ["cached", "done", "cached", "done"]);
  assert.equal(statuses(await mustBuild(kbuild, context)), Array(4).fill("cached"));
});

// ------------------------------------------------------------------ proxies

Cache("a proxy reaches the process, and neither image, history, cache nor store", async () => {
  const kbuild = newStore();
  const secret = `http://${crypto.randomBytes(12).toString("hex")}:${crypto.randomBytes(12).toString("hex")}@proxy:3128`;
  const context = contextOf(
    `FROM busybox
RUN [ "$http_proxy" = "$EXPECTED" ] || { echo "proxy: \${#http_proxy} \${#HTTP_PROXY} $(env | grep -ci http_proxy)" && [ \${#http_proxy} = \${#HTTP_PROXY} ] && [ \${#http_proxy} -gt 40 ]; }
RUN env | grep -v -i _proxy >/env; set >/dev/null
`,
  );
  const done = await mustBuild(kbuild, context, ["--build-arg", `HTTP_PROXY=${secret}`]);
  assert.match(done.stderr, /proxy: 67 67 2/);
  assert.equal(holders(kbuild.root, Buffer.from(secret)), []);
  assert.not.ok(done.stderr.includes(secret), "printed");
  // With another, or none, nothing runs again.
  const other = await mustBuild(kbuild, context, ["--build-arg", "http_proxy=http://other"]);
  assert.equal(statuses(other), ["cached", "cached"]);
  const none = await mustBuild(kbuild, context);
  assert.equal(statuses(none), ["cached", "cached"]);
  assert.is(none.digest, done.digest);
});

Cache("a proxy that an ARG declares counts, as any ARG", async () => {
  const kbuild = newStore();
  const context = contextOf("FROM busybox\nARG http_proxy\nRUN echo x >/x\n");
  await mustBuild(kbuild, context, ["--build-arg", "http_proxy=http://one"]);
  const { steps, digest } = await mustBuild(kbuild, context, ["--build-arg", "http_proxy=http://two"]);
  assert.equal([steps[0]?.status, steps[0]?.why], ["done", "changed: $http_proxy"]);
  assert.match(historyIn(kbuild.root, digest).at(-1)?.created_by ?? "", /http_proxy=http:\/\/two/);
});

/** Files below a folder whose name or content has these bytes. */
function holders(folder: string, bytes: Buffer): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => file.includes(bytes.toString()) || fs.readFileSync(file).includes(bytes));
}

// ------------------------------------------------------------------ locks of cache mounts

/** A step that says when it is in the cache mount, waits there, and leaves its mark; it sees the marks of others. */
function visitor(sharing: string, name: string): string {
  return contextOf(
    `FROM busybox
RUN --mount=type=cache,id=shared,target=/c,sharing=${sharing} echo "enter ${name} $(cut -d' ' -f1 /proc/uptime) sees $(ls /c | tr '\\n' ' ')"; touch /c/${name}-a; sleep 1; touch /c/${name}-b; echo "leave ${name} $(cut -d' ' -f1 /proc/uptime) sees $(ls /c | tr '\\n' ' ')"
`,
  );
}

interface Visit {
  readonly entered: number;
  readonly left: number;
  /** Marks of the other one that were there. */
  readonly atFirst: readonly string[];
  readonly atLast: readonly string[];
}

/** Two kbuild processes at once with one cache mount. */
async function together(sharing: string): Promise<readonly [Visit, Visit]> {
  const kbuild = newStore();
  const visits = await Promise.all(
    ["one", "two"].map(async (name) => {
      const { stderr } = await kbuild.must(["--progress=plain", ...BASES, visitor(sharing, name)]);
      const moment = (word: string) => new RegExp(`${word} ${name} ([\\d.]+) sees (.*)`).exec(stderr);
      const marks = (text: string | undefined) =>
        (text ?? "").split(" ").filter((mark) => mark !== "" && !mark.startsWith(name));
      const [first, last] = [moment("enter"), moment("leave")];
      return {
        entered: Number(first?.[1]),
        left: Number(last?.[1]),
        atFirst: marks(first?.[2]),
        atLast: marks(last?.[2]),
      };
    }),
  );
  const [one, two] = visits;
  if (one === undefined || two === undefined) throw new Error("two were to run");
  return one.entered <= two.entered ? [one, two] : [two, one];
}

Cache(
  "sharing=locked: two kbuild processes wait for each other, and the second sees the first one's files",
  async () => {
    const [first, second] = await together("locked");
    assert.ok(second.entered >= first.left, `${second.entered} is before ${first.left}`);
    assert.is(second.atFirst.length, 2);
  },
);

Cache("sharing=shared: both are in it at once, and see each other's files", async () => {
  const [first, second] = await together("shared");
  assert.ok(second.entered < first.left, `${second.entered} is not before ${first.left}`);
  // They may come in at the same moment, and then either may leave last; that one sees all of the other's.
  const seen = [first.atLast.length, second.atLast.length].sort();
  assert.ok((seen[0] ?? 0) >= 1, `${seen}`);
  assert.is(seen[1], 2);
});

Cache("sharing=private: both run at once, each with its own", async () => {
  const [first, second] = await together("private");
  assert.ok(second.entered < first.left, `${second.entered} is not before ${first.left}`);
  assert.equal([first.atFirst, first.atLast, second.atFirst, second.atLast], [[], [], [], []]);
});

Cache("BUILDKIT_CACHE_MOUNT_NS keeps cache mounts of one id apart", async () => {
  const kbuild = newStore();
  const dockerfile = "FROM busybox\nARG N\nRUN --mount=type=cache,target=/c echo $N >>/c/log; cat /c/log >/seen\n";
  const seen = async (n: string, ...argv: readonly string[]): Promise<string> => {
    const dest = path.join(shared, `seen-${n}`);
    const context = contextOf(dockerfile);
    await kbuild.must(["-q", ...BASES, "--build-arg", `N=${n}`, ...argv, "-o", dest, context]);
    return fs.readFileSync(path.join(dest, "seen"), "utf8");
  };
  const own = ["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=team"];
  assert.is(await seen("1"), "1\n");
  assert.is(await seen("2", ...own), "2\n");
  assert.is(await seen("3"), "1\n3\n");
  assert.is(await seen("4", ...own), "2\n4\n");
});

Cache.run();
