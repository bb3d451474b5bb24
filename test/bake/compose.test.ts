// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of compose files look like templates of JavaScript
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseDotenv } from "../../src/bake/compose/dotenv.ts";
import { interpolate } from "../../src/bake/compose/interpolate.ts";
import { Source } from "../../src/bake/source.ts";
import { failure, planOf, targetOf } from "../support/bake.ts";

const Compose = suite("compose files");

const yaml = (text: string) => ({ "compose.yaml": text });

Compose("each service that is built is a target, and all of them are the default group", async () => {
  const file = yaml(`
services:
  db: { image: postgres, build: ./db }
  web.app:
    image: me/web:1
    build:
      context: .
      dockerfile: web.Dockerfile
  cache: { image: redis }
networks: { x: {} }
x-note: anything
`);
  assert.equal(await planOf(file), {
    group: { default: { targets: ["db", "web_app"] } },
    target: {
      db: { context: "db", dockerfile: "Dockerfile", tags: ["postgres"] },
      web_app: { context: ".", dockerfile: "web.Dockerfile", tags: ["me/web:1"] },
    },
  });
});

Compose("all that build may say", async () => {
  const file = yaml(`
services:
  default:
    image: not-this
    environment: { FROM_SERVICE: s }
    build:
      context: dir
      dockerfile_inline: |
        FROM scratch
      args: [A=1, FROM_ENV, FROM_SERVICE, UNSET]
      labels: { l: v }
      target: t
      tags: [a:1, b]
      platforms: [linux/amd64]
      cache_from: [user/app:cache]
      cache_to: ["type=local,dest=x"]
      no_cache: true
      pull: true
      network: host
      shm_size: 128m
      extra_hosts: ["db:10.0.0.1", "v6=::1", "db=10.0.0.2"]
      ulimits: { nproc: 65535, nofile: { soft: 1, hard: 2 } }
      secrets: [token, { source: file }]
      ssh: [key=path, default]
      additional_contexts: [base=service:other.one, img=docker-image://alpine]
      provenance: mode=max
  other.one: { build: . }
secrets:
  token: { environment: TOKEN }
  file: { file: ./secret }
`);
  assert.equal(await targetOf(file, "default", { env: { FROM_ENV: "e" } }), {
    attest: [{ mode: "max", type: "provenance" }],
    context: "dir",
    contexts: { base: "target:other_one", img: "docker-image://alpine" },
    dockerfile: "Dockerfile",
    "dockerfile-inline": "FROM scratch\n",
    args: { A: "1", FROM_ENV: "e", FROM_SERVICE: "s" },
    labels: { l: "v" },
    tags: ["a:1", "b"],
    "cache-from": [{ ref: "user/app:cache", type: "registry" }],
    "cache-to": [{ dest: "x", type: "local" }],
    target: "t",
    secret: [
      { id: "token", env: "TOKEN" },
      { id: "file", src: "secret" },
    ],
    ssh: [{ id: "default" }, { id: "key", paths: ["path"] }],
    platforms: ["linux/amd64"],
    pull: true,
    "no-cache": true,
    network: "host",
    "shm-size": "128m",
    ulimits: ["nproc=65535", "nofile=1:2"],
    entitlements: ["network.host"],
    "extra-hosts": { db: "10.0.0.1,10.0.0.2", v6: "::1" },
  });
});

Compose("x-bake adds what compose has no word for", async () => {
  const file = yaml(`
services:
  default:
    build:
      context: .
      tags: [a]
      x-bake:
        tags: [b]
        platforms: linux/amd64 linux/arm64
        output: type=docker
        no-cache-filter: [x]
        contexts: { src: ./src }
        pull: false
`);
  const target = await targetOf(file);
  assert.equal(target.tags, ["a", "b"]);
  assert.equal(target.platforms, ["linux/amd64", "linux/arm64"]);
  assert.equal(target.output, [{ type: "docker" }]);
  assert.equal(target["no-cache-filter"], ["x"]);
  assert.equal(target.contexts, { src: "src" });
  assert.is(target.pull, false);
});

Compose("later files and bake files change what earlier ones say", async () => {
  const plan = await planOf({
    "compose.yaml": "services:\n  web:\n    image: a\n    build: { context: ., args: { A: 1, B: 1 } }\n",
    "docker-compose.yml": "services:\n  web:\n    image: b\n    build: { args: [B=2] }\n  db: { build: db }\n",
    "docker-bake.hcl": 'target "web" { tags = ["c"] }\ngroup "default" { targets = ["web"] }',
  });
  assert.equal(plan, {
    group: { default: { targets: ["web"] } },
    target: { web: { context: ".", dockerfile: "Dockerfile", args: { A: "1", B: "2" }, tags: ["c"] } },
  });
});

Compose("a service may extend another one, anchors are followed, and profiles do not matter", async () => {
  const file = yaml(`
x-args: &args { A: 1, B: 1 }
services:
  base:
    build: { context: base, args: *args }
  web:
    extends: { service: base }
    profiles: [never]
    build:
      args:
        <<: *args
        B: 2
`);
  const { target } = await planOf(file);
  assert.equal(target.web, { context: "base", dockerfile: "Dockerfile", args: { A: "1", B: "2" } });
});

const values = new Map([
  ["A", "a"],
  ["EMPTY", ""],
  ["N.X", "?"],
]);
const interpolated: readonly (readonly [text: string, expected: string])[] = [
  ["plain", "plain"],
  ["$A-${A}", "a-a"],
  ["$$A $${A}", "$A ${A}"],
  ["${B}", ""],
  ["${B:-d} ${EMPTY:-d} ${EMPTY-d} ${B-d} ${A:-d}", "d d  d a"],
  ["${A:+x} ${EMPTY:+x} ${EMPTY+x} ${B+x}", "x  x "],
  ["${A?no} ${A:?no}", "a a"],
  ["${B:-${C:-$A}}", "a"],
  ["${B:-}", ""],
];

for (const [text, expected] of interpolated) {
  Compose(`${text} is ${JSON.stringify(expected)}`, () =>
    assert.is(
      interpolate(
        text,
        (name) => values.get(name),
        () => undefined,
      ),
      expected,
    ),
  );
}

Compose("a part that compose files do not have is told", async () => {
  const told: string[] = [];
  await planOf(yaml("servces: {}\nservices:\n  a: { build: . }\n"), { warn: (message) => told.push(message) });
  assert.equal(told, [
    "compose.yaml:1:1: a compose file has no servces, and so it changes nothing; did you mean services?",
  ]);
});

Compose("the name of the project is a variable", async () => {
  const services = 'services:\n  default: { build: ., image: "${COMPOSE_PROJECT_NAME}-x" }\n';
  assert.equal((await targetOf(yaml(services))).tags, ["bake-x"]);
  assert.equal((await targetOf(yaml(`name: shop\n${services}`))).tags, ["shop-x"]);
});

Compose("numbers are told as they are, also large ones", async () => {
  const file = yaml(
    "services:\n  default: { build: { context: ., args: { A: 12345678901234567890, B: 1.5, C: 007 } } }\n",
  );
  assert.equal((await targetOf(file)).args, { A: "12345678901234567890", B: "1.5", C: "7" });
});

Compose("what is not set is told of once", async () => {
  const told: string[] = [];
  const file = yaml("services:\n  default:\n    image: x:$NOPE\n    build: { context: ., target: $NOPE$ALSO }\n");
  await planOf(file, { env: { ALSO: "a" }, warn: (message) => told.push(message) });
  assert.equal(told, ["the variable NOPE is not set, and so is taken to be empty"]);
});

Compose(".env gives what the environment does not, and --var goes before both", async () => {
  const file = yaml('services:\n  default:\n    build:\n      context: .\n      args: { A: "$A", B: "$B", C: "$C" }\n');
  const options = { dotenv: "A=file\nB=file\nC=file\n", env: { B: "env", C: "env" }, variables: { C: "var" } };
  assert.equal((await targetOf(file, "default", options)).args, { A: "file", B: "env", C: "var" });
});

Compose(
  "arguments without a value have that of the service: its environment's, its env_file's, then ours",
  async () => {
    const service = (files: string) =>
      yaml(`services:
  default:
    build: { context: ., args: [A, B, C, D, E=e] }
    environment: { A: own }
    env_file: ${files}
`);
    const named = { "a.env": "A=a\nB=a\nC=$D\nE=a\n", "b.env": "B='b'\n" };
    const options = { named, env: { C: "ours", D: "ours" } };
    const args = async (files: string) => (await targetOf(service(files), "default", options)).args;
    const both = { A: "own", B: "b", C: "ours", D: "ours", E: "e" };
    assert.equal(await args("[a.env, { path: b.env }, { path: none, required: false }]"), both);
    assert.equal(await args("a.env"), { ...both, B: "a" });
    const fails = (files: string) => failure(planOf(service(files), options));
    assert.match(await fails("[a.env, none.env]"), /there is no file none\.env/);
    assert.match(await fails("{ path: a.env, format: raw }"), /the format raw is not supported/);
    assert.match(await fails("{ required: true }"), /an env_file needs a path/);
  },
);

Compose(".env files are read as compose reads them", () => {
  const text = [
    "# a comment",
    "",
    "PLAIN=a b  # not this",
    "export EXPORTED=e",
    "HASH=a#b",
    "SINGLE='$X \\n'",
    'DOUBLE="a\\n$PLAIN \\$X"',
    'LINES="1',
    '2"',
    "SPACED = s",
    "COLON: c",
    "FROM_ENV",
    "UNSET",
    "EMPTY=",
    "BEFORE=${EXPORTED:-no}!",
  ].join("\n");
  const found = parseDotenv(new Source(".env", text), (name) => (name === "FROM_ENV" ? "env" : undefined));
  assert.equal(Object.fromEntries(found), {
    PLAIN: "a b",
    EXPORTED: "e",
    HASH: "a#b",
    SINGLE: "$X \\n",
    DOUBLE: "a\na b $X",
    LINES: "1\n2",
    SPACED: "s",
    COLON: "c",
    FROM_ENV: "env",
    EMPTY: "",
    BEFORE: "e!",
  });
});

Compose("what is neither .yaml nor .hcl is told by how it begins", async () => {
  assert.equal(Object.keys((await planOf({ "-": "services:\n  a: { build: . }\n" })).target), ["a"]);
  assert.equal(Object.keys((await planOf({ "-": 'target "default" {}' })).target), ["default"]);
  assert.equal(Object.keys((await planOf({ "-": '{"target": {"default": {}}}' })).target), ["default"]);
});

const faults: readonly (readonly [name: string, text: string, expected: RegExp])[] = [
  ["YAML that is none", "services:\n  a: [", /^compose\.yaml:\d:\d+: this is no YAML: /],
  ["a file without services", "version: '3'\n", /^the files define no targets/],
  ["include", "include: [x.yaml]\nservices: {}\n", /^compose\.yaml:1:1: include is not supported \| name all files/],
  [
    "a key of build that is not there",
    "services:\n  a:\n    build:\n      dockerfiles: x\n",
    /^compose\.yaml:4:7: build has no dockerfiles \| did you mean dockerfile\?/,
  ],
  [
    "a key of build that is refused",
    "services:\n  a:\n    build:\n      privileged: true\n",
    /^compose\.yaml:4:7: privileged of build is not supported/,
  ],
  [
    "a key of x-bake that is not there",
    "services:\n  a:\n    build:\n      x-bake: { tag: x }\n",
    /^compose\.yaml:4:17: x-bake has no tag \| did you mean tags\?/,
  ],
  [
    "a variable that has to be set",
    "services:\n  a:\n    image: ${TAG:?say which}\n    build: .\n",
    /^compose\.yaml:3:12: the variable TAG is not set: say which/,
  ],
  ["a variable that is none", "services:\n  a:\n    build: $ {\n", /^compose\.yaml:3:12: a \$ is followed by no name/],
  [
    "a secret that is not declared",
    "services:\n  a:\n    build: { context: ., secrets: [s] }\n",
    /^compose\.yaml:3:36: there is no secret s/,
  ],
  [
    "an external secret",
    "services:\n  a:\n    build: { context: ., secrets: [s] }\nsecrets:\n  s: { external: true }\n",
    /^compose\.yaml:5:3: the secret s is external/,
  ],
  [
    "extends with a file",
    "services:\n  a:\n    extends: { file: x, service: y }\n    build: .\n",
    /^compose\.yaml:3:16: extends with a file is not supported/,
  ],
  [
    "extending oneself",
    "services:\n  a: { extends: b }\n  b: { extends: a }\n",
    /the service a extends itself: a -> b -> a|the service b extends itself/,
  ],
  ["a list where a map has to be", "services: [a]\n", /^compose\.yaml:1:11: services must be a map/],
  [
    "a list where a string has to be",
    "services:\n  a:\n    build: { context: [x] }\n",
    /^compose\.yaml:3:23: context must be a string/,
  ],
  [
    "aliases that grow without end",
    `a: &a [x,x,x,x,x,x,x,x,x]\n${["b", "c", "d", "e", "f", "g"].map((n, i) => `${n}: &${n} [${Array(9).fill(`*${"abcdef"[i]}`).join(",")}]`).join("\n")}\nservices: {}\n`,
    /too large|no YAML/,
  ],
];

for (const [name, text, expected] of faults) {
  Compose(`${name} is told with its place`, async () => assert.match(await failure(planOf(yaml(text))), expected));
}

Compose.run();
