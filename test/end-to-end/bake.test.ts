// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of HCL look like those of JavaScript
import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { kbuildWith, must } from "../support/command.ts";
import { HOME, listing, plant, workspace } from "../support/workspace.ts";

const folder = workspace();
const kbuild = kbuildWith(path.join(folder, "store"));
const fixtures = path.join(HOME, "test/fixtures/bake");

const Bake = suite("kbuild bake");

Bake("a real project's file is printed as docker buildx bake --print prints it", async () => {
  const golden = fs.readFileSync(path.join(fixtures, "printed.json"), "utf8");
  assert.is((await kbuild.must(["bake", "--print"], { cwd: fixtures })).stdout, golden);
});

Bake("its targets and variables are listed", async () => {
  const trimmed = (text: string): string => text.replace(/ +$/gm, "");
  const targets = await kbuild.must(["bake", "--list", "targets"], { cwd: fixtures });
  assert.match(
    trimmed(targets.stdout),
    /^TARGET +DESCRIPTION\n[\s\S]*^services +All that is deployed \(api, worker\)\n/m,
  );
  assert.not.match(targets.stdout, /_common/);
  const variables = await kbuild.must(["bake", "--list=variables"], { cwd: fixtures, env: { NODES: "24" } });
  assert.match(variables.stdout, /^COMMIT +<null>/m);
  assert.match(variables.stdout, /^NODES +list\(string\) +\["24"\]/m);
});

const project = plant(path.join(folder, "project"), {
  "docker-bake.hcl": `
variable "TAG" { default = "v1" }
group "default" { targets = ["web", "data"] }
target "_common" {
  args = { WHO = "bake" }
  labels = { tag = TAG }
}
target "base" {
  context = "base"
  dockerfile-inline = "FROM scratch\\nCOPY . /base/\\n"
}
target "web" {
  inherits = ["_common"]
  context = "web"
  contexts = { base = "target:base" }
  tags = ["web:\${TAG}"]
}
target "data" {
  name = "data-\${kind}"
  matrix = { kind = ["a", "b"] }
  context = "data"
  dockerfile = "\${kind}.Dockerfile"
  output = ["type=local,dest=out"]
}
target "broken" {
  context = "data"
  dockerfile-inline = "FROM scratch\\nCOPY missing /\\n"
}
target "asks" {
  entitlements = ["security.insecure"]
  dockerfile-inline = "FROM scratch\\nCOPY docker-bake.hcl /\\n"
}
`,
  "compose.yaml":
    "services:\n  db:\n    image: db:${DB_TAG:-1}\n    build: { context: ., dockerfile: db.Dockerfile }\n",
  "db.Dockerfile": "FROM scratch\nCOPY web/index /db\n",
  ".env": "DB_TAG=2\n",
  "base/lib": "library",
  "web/Dockerfile": "FROM base\nARG WHO\nLABEL who=$WHO\nCOPY index /\nCOPY --from=base /base/lib /copied\n",
  "web/index": "hello",
  "data/x": "x",
  "data/a.Dockerfile": "FROM scratch\nCOPY x /a\n",
  "data/b.Dockerfile": "FROM scratch\nCOPY x /b\n",
});

Bake("targets are built, those that others use before them, and progress names them", async () => {
  const done = await kbuild.must(["bake", "--progress=plain", "--metadata-file", "facts.json"], { cwd: project });
  assert.is(done.stdout, "");
  assert.match(done.stderr, /^#\d+ \[base internal\] load build definition from Dockerfile$/m);
  assert.match(done.stderr, /^#\d+ \[web 2\/3\] COPY index \/$/m);
  assert.match(done.stderr, /^#\d+ \[data-a\] exporting to client directory$/m);
  assert.ok(done.stderr.indexOf("[base 1/1]") < done.stderr.indexOf("[web 1/3]"));
  assert.equal(listing(path.join(project, "out")), ["a 1", "b 1"]);
  const facts = JSON.parse(fs.readFileSync(path.join(project, "facts.json"), "utf8"));
  assert.equal(Object.keys(facts).sort(), ["base", "data-a", "data-b", "web"]);
  const image = JSON.parse((await kbuild.must(["inspect", "web:v1"])).stdout)[0];
  assert.equal(image.Config.Labels, { tag: "v1", who: "bake" });
  assert.is(image.Id, facts.web["containerimage.config.digest"]);
  const listed = (await kbuild.must(["image", "ls"])).stdout;
  assert.not.match(listed, /<none>/, "what is built only for others is no image of its own");
});

Bake("why a step was made is told of the same target, though others have its Dockerfile", async () => {
  const own = plant(path.join(folder, "reasons"), {
    "docker-bake.hcl":
      'target "default" {\n  name = "n${n}"\n  matrix = { n = [1, 2] }\n  args = { N = n }\n' +
      '  dockerfile-inline = "FROM scratch\\nARG N\\nCOPY file /$N/\\n"\n}\n',
    file: "before",
  });
  await kbuild.must(["bake", "-q"], { cwd: own });
  plant(own, { file: "after" });
  const done = await kbuild.must(["bake", "--progress=plain"], { cwd: own });
  const reasons = [...done.stderr.matchAll(/why: (.*)/g)].map(([, why]) => why);
  assert.equal(reasons.sort(), ["changed: 1/file", "changed: 2/file"]);
});

Bake("a second time everything is in the cache", async () => {
  const done = await kbuild.must(["bake", "--progress=plain", "web"], { cwd: project });
  assert.not.match(done.stderr, /why:/);
  assert.match(done.stderr, /^#\d+ CACHED$/m);
});

Bake("one target alone is shown as a build of its own, and quiet says nothing", async () => {
  const done = await kbuild.must(["bake", "--progress=plain", "data-a"], { cwd: project });
  assert.match(done.stderr, /^#1 \[internal\] load build definition/m);
  const quiet = await kbuild.must(["bake", "-q", "data-a"], { cwd: project });
  assert.is(quiet.stdout + quiet.stderr, "");
});

Bake("compose files are read beside, with .env", async () => {
  await kbuild.must(["bake", "-q", "db"], { cwd: project });
  assert.match((await kbuild.must(["image", "ls", "db"])).stdout, /^db +2 /m);
  const other = await kbuild.must(["bake", "--print", "db"], { cwd: project, env: { DB_TAG: "3" } });
  assert.equal(JSON.parse(other.stdout).target.db.tags, ["db:3"]);
});

Bake("--set and variables change what is built", async () => {
  await kbuild.must(["bake", "-q", "--var", "TAG=v2", "--set", "web.args.WHO=other", "web"], { cwd: project });
  const image = JSON.parse((await kbuild.must(["inspect", "web:v2"])).stdout)[0];
  assert.equal(image.Config.Labels, { tag: "v2", who: "other" });
});

Bake("the error of a target that fails names it, and shows its Dockerfile", async () => {
  const done = await kbuild.run(["bake", "--progress=plain", "broken", "web"], { cwd: project });
  assert.is(done.status, 1);
  assert.match(done.stderr, /^Dockerfile:2:\d+: target broken: .*missing/m);
  assert.match(done.stderr, />>> COPY missing \//);
});

Bake("what the engine cannot do yet is refused before anything is built, with its place", async () => {
  const later: readonly (readonly [set: string, expected: RegExp])[] = [
    ["web.cache-from=type=gha", /target web: type=gha is not supported yet/],
    ["web.cache-to=type=registry,ref=a", /target web: type=registry is not supported yet/],
    ["web.cache-to=type=local", /target web: dest= is missing/],
    ["web.call=check", /target web: call is not supported yet/],
    ["web.output=type=registry", /target web: pushing is not supported yet/],
    ["web.output=type=nope", /target web: there is no output of type nope/],
    ["web.output=type=oci,dst=x", /target web: type=oci has no dst/],
    ["web.shm-size=big", /target web: "big" is no size/],
    ["web.ulimits=nofile", /target web: "nofile" must be NAME=SOFT/],
    ["web.network=bridge", /target web: "bridge" is no network/],
  ];
  for (const [set, expected] of later) {
    const done = await kbuild.run(["bake", "--progress=plain", "--set", set, "web"], { cwd: project });
    assert.is(done.status, 1, set);
    assert.match(done.stderr, expected);
    assert.not.match(done.stderr, /^#1/m, "nothing was built");
  }
});

Bake(
  "what targets have in common is done once, even at the same time, and annotations and platforms come through",
  async () => {
    const shared = plant(path.join(folder, "shared"), {
      "docker-bake.hcl": [
        'group "default" { targets = ["one", "two"] }',
        'target "base" {',
        '  dockerfile-inline = "FROM scratch AS common\\nCOPY <<A /common\\ncommon\\nA\\nFROM common\\nARG N\\nCOPY <<A /n\\n$N\\nA\\n"',
        "}",
        'target "one" {',
        '  inherits  = ["base"]',
        '  args      = { N = "1" }',
        '  platforms = ["linux/amd64", "linux/arm64"]',
        '  annotations = ["index:a=b"]',
        '  output    = ["type=oci,dest=one.tar"]',
        "}",
        'target "two" {',
        '  inherits = ["base"]',
        '  args     = { N = "2" }',
        '  platforms = ["linux/amd64"]',
        '  cache-to = ["type=local,dest=cache,mode=max"]',
        '  attest   = ["type=provenance,mode=max"]',
        "}",
        "",
      ].join("\n"),
    });
    const fresh = kbuildWith(path.join(folder, "shared-store"));
    const done = await fresh.must(["bake", "--progress=plain"], { cwd: shared });
    const made = [...done.stderr.matchAll(/^#\d+ \[(?:one linux\/amd64|two) common 1\/1\].*\n#\d+ why/gm)];
    assert.is(made.length, 1, done.stderr);
    assert.match(done.stderr, /makes no attestations yet: the images of two come without/);
    assert.ok(fs.existsSync(path.join(shared, "cache/index.json")));
    const index = await must("skopeo", ["inspect", "--raw", `oci-archive:${path.join(shared, "one.tar")}`]);
    assert.match(index.stdout, /"annotations":\{"a":"b"\}/);
  },
);

Bake("a target gets no right that was not allowed", async () => {
  const done = await kbuild.run(["bake", "asks"], { cwd: project });
  assert.is(done.status, 1);
  assert.match(
    done.stderr,
    /docker-bake\.hcl:\d+:18: target asks: it asks for security\.insecure.*\n.*--allow security\.insecure/,
  );
  await kbuild.must(["bake", "-q", "--allow", "security.insecure", "asks"], { cwd: project });
});

Bake("two targets do not write to one file", async () => {
  const set = ["--set", "data-*.output=type=oci,dest=x.tar"];
  const done = await kbuild.run(["bake", ...set, "data"], { cwd: project });
  assert.match(done.stderr, /the targets data-a and data-b both write to x\.tar/);
});

Bake("a mistake in a file is shown with its lines", async () => {
  const broken = plant(path.join(folder, "mistake"), {
    "docker-bake.hcl": 'target "default" {\n  tags = ["a:${TAGG}"]\n}\n',
  });
  const done = await kbuild.run(["bake"], { cwd: broken });
  assert.is(done.status, 1);
  assert.match(done.stderr, /^docker-bake\.hcl:2:16: there is no variable TAGG$/m);
  assert.match(done.stderr, />>> {3}tags = \["a:\$\{TAGG\}"\]\n +\^{4}/);
  const none = await kbuild.run(["bake"], { cwd: folder });
  assert.match(none.stderr, /there is no file of definitions in this folder\n.*docker-bake\.hcl/);
});

Bake("an interrupted bake stops all its targets", async () => {
  const slow = plant(path.join(folder, "slow"), {
    "docker-bake.hcl":
      'target "default" {\n  name = "t${n}"\n  matrix = { n = [1, 2] }\n  dockerfile-inline = "FROM scratch\\nCOPY big /\\n"\n}\n',
    big: Buffer.alloc(150_000_000, "y"),
  });
  const done = await kbuild.run(["bake", "--progress=plain"], {
    cwd: slow,
    started: (child) => child.stderr?.once("data", () => child.kill("SIGINT")),
  });
  assert.is(done.status, 130, done.stderr);
  assert.match(done.stderr, /interrupted/);
});

Bake("the library plans, builds and follows", async () => {
  const script = `
    import { bake, planBake } from "kbuild";
    const root = ${JSON.stringify(path.join(folder, "store"))};
    const context = ${JSON.stringify(path.join(project, "base"))};
    const inline = { context, "dockerfile-inline": "FROM scratch\\nCOPY lib /\\n" };
    const files = [{ name: "docker-bake.json", text: JSON.stringify({ target: { default: inline } }) }];
    console.log(Object.keys((await planBake({ files })).target).join());
    const running = bake({ files, root });
    let last;
    for await (const event of running.events) last = event;
    const { targets } = await running;
    console.log(last.type, last.status, /^sha256:/.test(targets.default.imageId));
    console.log(await bake({ files, root, targets: ["nope"] }).catch((error) => error.code));
  `;
  const done = await must(process.execPath, ["--input-type=module", "-e", script], { cwd: HOME });
  assert.is(done.stdout, "default\nbuildFinished done true\nusage.bake\n");
});

Bake.run();
