// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of HCL look like those of JavaScript
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { definitionsOf, type Files, failure, planOf, targetOf } from "../support/bake.ts";

const Targets = suite("targets of bake files");

const usual = { context: ".", dockerfile: "Dockerfile" };

Targets("a target without anything has docker's defaults", async () => {
  assert.equal(await planOf('target "default" {}'), {
    group: { default: { targets: ["default"] } },
    target: { default: usual },
  });
});

Targets("all attributes, in the order in which docker prints them", async () => {
  const target = await targetOf(`target "default" {
    description = "all"
    tags = ["a", "b", "a"]
    args = { B = 1, A = true, C = null }
    labels = { x = "y" }
    context = "src"
    contexts = { alpine = "docker-image://alpine:3", gone = "" }
    dockerfile = "x.Dockerfile"
    target = "bin"
    output = ["type=docker,dest=x.tar", { type = "local", dest = "out" }, "folder"]
    cache-from = ["user/app:cache", "type=gha,scope=x"]
    cache-to = [{ type = "inline" }]
    platforms = ["linux/amd64"]
    secret = ["id=a,src=b", "type=env,id=C", { id = "d", env = "E" }]
    ssh = ["default", { id = "key", paths = ["k1", "k2"] }, "x=y,z"]
    attest = ["type=provenance,mode=max"]
    annotations = ["k=v"]
    pull = true
    no-cache = "true"
    no-cache-filter = ["s"]
    network = "none"
    shm-size = "128m"
    ulimits = ["nofile=1024:2048"]
    resources = { cpu-quota = "50000", memory = "2g" }
    call = "build"
    entitlements = ["security.insecure"]
    extra-hosts = { db = "10.0.0.1" }
  }`);
  assert.equal(target, {
    description: "all",
    annotations: ["k=v"],
    attest: [{ mode: "max", type: "provenance" }],
    context: "src",
    contexts: { alpine: "docker-image://alpine:3" },
    dockerfile: "x.Dockerfile",
    args: { A: "true", B: "1" },
    labels: { x: "y" },
    tags: ["a", "b"],
    "cache-from": [
      { ref: "user/app:cache", type: "registry" },
      { scope: "x", type: "gha" },
    ],
    "cache-to": [{ type: "inline" }],
    target: "bin",
    secret: [{ id: "a", src: "b" }, { id: "C" }, { id: "d", env: "E" }],
    ssh: [{ id: "default" }, { id: "key", paths: ["k1", "k2"] }, { id: "x", paths: ["y", "z"] }],
    platforms: ["linux/amd64"],
    output: [
      { dest: "x.tar", type: "docker" },
      { dest: "out", type: "local" },
      { dest: "folder", type: "local" },
    ],
    pull: true,
    "no-cache": true,
    network: "none",
    "no-cache-filter": ["s"],
    "shm-size": "128m",
    ulimits: ["nofile=1024:2048"],
    resources: { memory: "2g", "cpu-quota": 50_000 },
    call: "build",
    entitlements: ["security.insecure"],
    "extra-hosts": { db: "10.0.0.1" },
  });
  const order = Object.keys(target);
  assert.ok(order.indexOf("context") < order.indexOf("args") && order.indexOf("args") < order.indexOf("tags"));
});

Targets("what is printed can be read again", async () => {
  const file = 'target "default" {\n  args = { A = "$${x} %%{y}" }\n  tags = ["a"]\n}\n';
  const plan = await planOf(file);
  assert.equal(plan.target.default?.args, { A: "$${x} %%{y}" });
  assert.equal(await planOf({ "x.json": JSON.stringify(plan) }), plan);
});

const INHERITED = `
target "a" {
  args = { X = "1", A = "a" }
  tags = ["a"]
  labels = { l = "a" }
  no-cache-filter = ["a"]
  output = ["type=image"]
  secret = ["id=a"]
}
target "b" {
  args = { X = "2", B = "b" }
  tags = ["b"]
  no-cache-filter = ["b"]
  secret = ["id=a", "id=b"]
}
target "c" {
  inherits = ["a", "b"]
  args = { C = "c", A = null }
}
target "d" {
  inherits = ["c"]
  output = ["type=oci,dest=x"]
}
`;

Targets("what is inherited is merged or replaced, and the last of several counts most", async () => {
  assert.equal(await targetOf(INHERITED, "c"), {
    ...usual,
    // null says nothing: it does not take away what is inherited.
    args: { A: "a", B: "b", C: "c", X: "2" },
    labels: { l: "a" },
    tags: ["b"],
    secret: [{ id: "a" }, { id: "b" }],
    output: [{ type: "image" }],
    "no-cache-filter": ["a", "b"],
  });
  assert.equal((await targetOf(INHERITED, "d")).output, [{ dest: "x", type: "oci" }]);
});

Targets("a context without a source takes back what its own target inherits", async () => {
  const file = `
    target "a" { contexts = { x = "dir", y = "dir" } }
    target "b" { contexts = { x = "" } }
    target "c" {
      inherits = ["a"]
      contexts = { x = "" }
    }
    target "d" { inherits = ["a", "b"] }`;
  assert.equal((await targetOf(file, "c")).contexts, { y: "dir" });
  assert.equal((await targetOf(file, "d")).contexts, { x: "dir", y: "dir" });
});

Targets("later files change earlier ones, and .hcl comes after .json", async () => {
  const plan = await planOf({
    "docker-bake.json": '{"target": {"web": {"args": {"A": "json", "B": "json"}, "tags": ["json"]}}}',
    "docker-bake.hcl": 'variable "V" { default = "1" }\ntarget "web" { args = { A = "hcl:${V}" } }',
    "docker-bake.override.hcl": 'V = "2"\ntarget "web" { tags = ["override"] }\ngroup "default" { targets = ["web"] }',
  });
  assert.equal(plan.target, {
    web: { ...usual, args: { A: "hcl:2", B: "json" }, tags: ["override"] },
  });
});

Targets("a matrix makes a target of each combination, and a group of all", async () => {
  const file = `target "app" {
    name = "app-\${tgt}-\${replace(version, ".", "-")}"
    matrix = { tgt = ["foo", "bar"], version = ["1.0", "2.0"] }
    target = tgt
    args = { VERSION = version }
  }`;
  const { group, target } = await planOf(file, { targets: ["app"] });
  assert.equal(group, {
    app: { targets: ["app-foo-1-0", "app-bar-1-0", "app-foo-2-0", "app-bar-2-0"] },
    default: { targets: ["app"] },
  });
  assert.equal(target["app-bar-2-0"], { ...usual, args: { VERSION: "2.0" }, target: "bar" });
  assert.equal(Object.keys(target), ["app-bar-1-0", "app-bar-2-0", "app-foo-1-0", "app-foo-2-0"]);
});

Targets("a matrix may have objects, and others may inherit from what it makes", async () => {
  const file = `target "app" {
    name = item.n
    matrix = { item = [{ n = "x", v = 1 }, { n = "y", v = 2 }] }
    args = { V = item.v }
  }
  target "all" { inherits = ["y"] }`;
  assert.equal((await targetOf(file, "all")).args, { V: "2" });
});

Targets("a matrix may come from another target, and what it makes may be referred to", async () => {
  const file = `
    target "versions" { args = { a = 1, b = 2 } }
    target "made" {
      name = "made-\${v}"
      matrix = { v = keys(target.versions.args) }
      tags = ["made:\${v}"]
    }
    target "default" { tags = target.made-b.tags }`;
  assert.equal((await targetOf(file)).tags, ["made:b"]);
});

Targets("groups have groups in them; those that are asked for make the default group", async () => {
  const file = `
    group "all" { targets = ["some", "c"] }
    group "some" {
      description = "two"
      targets = ["a", "b", "a"]
    }
    target "a" {}
    target "b" {}
    target "c" {}`;
  const { group, target } = await planOf(file, { targets: ["c", "all"] });
  assert.equal(group, {
    all: { targets: ["some", "c"] },
    default: { targets: ["all", "c"] },
    some: { description: "two", targets: ["a", "b"] },
  });
  assert.equal(Object.keys(target), ["a", "b", "c"]);
});

Targets("names may be patterns, and dots stand for what services have in their names", async () => {
  const file = 'target "a-x" {}\ntarget "a-y" {}\ntarget "b_c" {}\ngroup "a-all" { targets = ["a-x"] }';
  const { group, target } = await planOf(file, { targets: ["a-*", "b.c"] });
  assert.equal(group.default, { targets: ["a-all", "a-x", "a-y", "b_c"] });
  assert.equal(Object.keys(target), ["a-x", "a-y", "b_c"]);
  assert.match(await failure(planOf(file, { targets: ["c*"] })), /there is no target c\*/);
});

Targets("a target that another one uses is built for it, and writes nothing", async () => {
  const file = `
    target "base" {
      tags = ["base"]
      entitlements = ["security.insecure"]
      output = ["type=docker"]
    }
    target "app" { contexts = { base = "target:base" } }`;
  const { target } = await planOf(file, { targets: ["app"] });
  assert.equal(target.base?.output, [{ type: "cacheonly" }]);
  assert.equal(target.app?.entitlements, ["security.insecure"]);
  const both = await planOf(file, { targets: ["app", "base"] });
  assert.equal(both.target.base?.output, [{ type: "docker" }], "unless it was asked for itself");
});

Targets("attributes can refer to those of other targets", async () => {
  const file = `
    target "a" {
      tags = ["x:1"]
      args = { V = 1 }
      output = ["type=oci,dest=x.tar"]
    }
    target "default" {
      labels = { dest = target.a.output[0].dest, n = target.a.args.V == "1" }
      tags = [for tag in target.a.tags : "\${tag}-debug"]
      args = { W = target.a.args.V, N = target.a.labels == null, M = target.a.name }
    }`;
  assert.equal(await targetOf(file), {
    ...usual,
    args: { M: "a", N: "true", W: "1" },
    labels: { dest: "x.tar", n: "true" },
    tags: ["x:1-debug"],
  });
});

const VARIABLES = `
variable "TEXT" { default = "t" }
variable "NONE" { default = null }
variable "EMPTY" {}
variable "SWITCH" { default = false }
variable "COUNT" { default = 1 }
variable "LIST" { default = ["x"] }
variable "TYPED" {
  type = list(number)
  default = [1]
  description = "numbers"
}
variable "OBJECT" {
  type = object({ name = string, size = optional(number, 7) })
  default = null
}
variable "NAMED" { type = string }
FIXED = "f"
target "default" {
  args = {
    T = TEXT, N = NONE, E = EMPTY, S = SWITCH ? "on" : "off", C = COUNT + 1, F = FIXED
    L = jsonencode(TYPED), O = jsonencode(OBJECT), D = NAMED
  }
}
`;

Targets("variables have their defaults", async () => {
  assert.equal((await targetOf(VARIABLES)).args, { C: "2", E: "", F: "f", L: "[1]", O: "null", S: "off", T: "t" });
});

Targets("the environment changes variables, as what they are", async () => {
  const env = {
    TEXT: "",
    NONE: "n",
    EMPTY: "e",
    SWITCH: "T",
    COUNT: "41",
    FIXED: "not this one",
    TYPED: "2,3",
    OBJECT_JSON: '{"name": "o"}',
    NAMED: "named",
  };
  assert.equal((await targetOf(VARIABLES, "default", { env })).args, {
    C: "42",
    D: "named",
    E: "e",
    F: "f",
    L: "[2,3]",
    N: "n",
    O: '{"name":"o","size":7}',
    S: "on",
    T: "",
  });
});

Targets("--var goes before the environment", async () => {
  const options = { env: { TEXT: "env", TYPED: "1" }, variables: { TEXT: "var", TYPED_JSON: "[5]" } };
  const { args } = await targetOf(VARIABLES, "default", options);
  assert.is(args?.T, "var");
  assert.is(args?.L, "[5]");
});

Targets("variables are listed with their types and values", async () => {
  const { variables } = await definitionsOf(VARIABLES);
  assert.equal(
    variables.map(({ name, type }) => `${name}:${type}`).join(" "),
    "TEXT:string NONE: EMPTY:string SWITCH:bool COUNT:number LIST:tuple TYPED:list(number) " +
      "OBJECT:object({name=string, size=number}) NAMED:string",
  );
});

Targets("SOURCE_DATE_EPOCH of the environment is an argument of all targets, unless they have one", async () => {
  const env = { SOURCE_DATE_EPOCH: "5" };
  assert.equal((await targetOf('target "default" {}', "default", { env })).args, { SOURCE_DATE_EPOCH: "5" });
  const own = 'target "default" { args = { SOURCE_DATE_EPOCH = 1 } }';
  assert.equal((await targetOf(own, "default", { env })).args, { SOURCE_DATE_EPOCH: "1" });
});

Targets("the JSON form says the same, functions and validations included", async () => {
  const json = {
    variable: { V: { default: "1", validation: [{ condition: '${V != ""}', error_message: "no V" }] } },
    function: { tag: { params: ["n"], result: "${n}:${V}" } },
    group: { default: { targets: ["x"] } },
    "//": "a remark",
    target: { x: { "//": "another", name: "x-${v}", matrix: { v: ["a", "b"] }, tags: ['${tag("x")}-${v}'] } },
  };
  const files = { "docker-bake.json": JSON.stringify(json) };
  assert.equal((await planOf(files)).target["x-b"]?.tags, ["x:1-b"]);
  assert.match(await failure(planOf(files, { env: { V: "" } })), /the variable V is not valid: no V/);
});

Targets("an attribute that is not there is told, and changes nothing", async () => {
  const told: string[] = [];
  const file = 'target "default" {\n  tag = ["x"]\n}';
  assert.equal(await targetOf(file, "default", { warn: (message) => told.push(message) }), usual);
  assert.equal(told, ["docker-bake.hcl:2:3: a target has no tag, and so it changes nothing; did you mean tags?"]);
});

Targets("empty strings in lists of outputs and the like say nothing", async () => {
  const file =
    'variable "OUT" { default = "" }\ntarget "default" {\n  output = [OUT != "" ? "type=local,dest=${OUT}" : ""]\n}';
  assert.is((await targetOf(file)).output, undefined);
});

const faults: readonly (readonly [name: string, files: Files, expected: RegExp])[] = [
  ["no targets at all", "", /^the files define no targets/],
  ["no default", 'target "web" {}', /^there is no default target, and none was named \| there is web$/],
  [
    "a list that is none",
    'target "default" {\n  tags = "x"\n}',
    /hcl:2:10: tags is a list, and this is a string \| in brackets: tags = \["x"\]/,
  ],
  ["a text that is none", 'target "default" { context = ["x"] }', /hcl:1:30: a string is needed here/],
  ["a map that is none", 'target "default" { args = ["x"] }', /hcl:1:27: an object is needed here/],
  [
    "a block where an attribute has to be",
    'target "default" {\n  args {\n  }\n}',
    /hcl:2:3: args of a target needs a =/,
  ],
  [
    "a block that is not there",
    'targets "default" {}',
    /hcl:1:1: a bake file has no blocks of type targets \| did you mean target\?/,
  ],
  [
    "an attribute that is given twice",
    'target "default" {\n  tags = []\n  tags = []\n}',
    /hcl:3:3: tags is given twice here/,
  ],
  [
    "a block in one line that goes on",
    'target "default" { tags = ["x"]\n}',
    /hcl:1:20: a block in one line has one attribute, and its \} stands behind that \| a block of several/,
  ],
  ["a block in a block in one line", 'variable "x" { validation {} }', /hcl:1:16: a block in a block begins on a line/],
  ["a name that is none", 'target "a b" {}', /hcl:1:8: "a b" is no name for a target/],
  ["a block without a name", "target {}", /hcl:1:1: a target has one name/],
  ["an attribute with a colon", 'target "default" {\n  tags: []\n}', /hcl:2:7: tags needs a = and not a :/],
  ["a block that is not closed", 'target "default" {\n', /hcl:1:18: this block is not closed by a \}/],
  ["a group without targets", 'group "default" {}', /hcl:1:1: the group default has no targets/],
  [
    "a group of a target that is not there",
    'group "default" {\n  targets = ["wep"]\n}\ntarget "web" {}',
    /hcl:1:1: there is no target wep \| did you mean web\?/,
  ],
  [
    "a group that is in itself",
    'group "default" { targets = ["x"] }\ngroup "x" { targets = ["default"] }\ntarget "y" {}',
    /hcl:\d:1: the group default is in itself: default -> x -> default/,
  ],
  ["inheriting what is not there", 'target "default" {\n  inherits = ["_x"]\n}', /hcl:2:14: there is no target _x/],
  [
    "inheriting oneself",
    'target "default" { inherits = ["b"] }\ntarget "b" { inherits = ["default"] }',
    /the target default inherits itself: default -> b -> default/,
  ],
  [
    "using oneself",
    'target "default" {\n  contexts = { b = "target:b" }\n}\ntarget "b" { contexts = { x = "target:default" } }',
    /the target default uses itself: default -> b -> default/,
  ],
  ["referring to oneself", 'target "default" {\n  tags = target.default.tags\n}', /hcl:2:3: tags refers to itself/],
  ["using what is not there", 'target "default" { contexts = { b = "target:b" } }', /hcl:1:31: there is no target b/],
  [
    "platforms that what is used is not built for",
    'target "default" {\n  platforms = ["a/b", "c/d"]\n  contexts = { b = "target:b" }\n}\ntarget "b" { platforms = ["a/b", "e/f"] }',
    /hcl:3:14: default is built for c\/d, and b, which it uses, is not/,
  ],
  [
    "a matrix without names",
    'target "default" {\n  matrix = { a = [1, 2] }\n}',
    /hcl:2:3: two targets of the matrix have the name default \| name makes them differ/,
  ],
  ["a name without a matrix", 'target "default" {\n  name = "x"\n}', /hcl:2:3: a target has its name in its head/],
  [
    "an axis that is no list",
    'target "x" {\n  name = "a"\n  matrix = { a = 1 }\n}',
    /hcl:3:12: a of a matrix must be a list/,
  ],
  [
    "a variable with something odd",
    'variable "x" { defualt = 1 }\ntarget "default" {}',
    /hcl:1:16: a variable has no defualt \| did you mean default\?/,
  ],
  [
    "a variable that is always there",
    'variable "BAKE_LOCAL_PLATFORM" { default = "x" }\ntarget "default" {}',
    /hcl:1:10: BAKE_LOCAL_PLATFORM is always there and cannot be set/,
  ],
  [
    "a validation that fails",
    'variable "x" {\n  default = 1\n  validation {\n    condition = x > 1\n    error_message = "x is ${x}"\n  }\n}\ntarget "default" {}',
    /hcl:4:17: the variable x is not valid: x is 1/,
  ],
  [
    "a default of another type",
    'variable "x" {\n  type = number\n  default = "a"\n}\ntarget "default" {}',
    /hcl:3:13: a number is needed here, and this is "a"/,
  ],
  [
    "a function without a result",
    'function "f" { params = [] }\ntarget "default" {}',
    /hcl:1:1: a function needs a result/,
  ],
  ["an output without a type", 'target "default" { output = ["dest=x"] }', /hcl:1:29: output needs a type/],
  ["a secret with something odd", 'target "default" { secret = ["id=a,sorce=b"] }', /hcl:1:29: a secret has no sorce/],
  [
    "a number of JSON that is too long",
    { "x.json": '{"target": {"default": {"args": {"A": 12345678901234567890}}}}' },
    /^x\.json:1:39: this number has more digits than can be computed with/,
  ],
  ["JSON that is none", { "x.json": '{\n  "target": {,\n}' }, /^x\.json:2:14: a name in quotes is missing before ","/],
  [
    "a mistake in a template of JSON",
    { "x.json": '{\n "target": {"default": {"tags": ["${nope}"]}}}' },
    /^x\.json:2:\d+: there is no variable nope/,
  ],
];

for (const [name, files, expected] of faults) {
  Targets(`${name} is told with its place`, async () => assert.match(await failure(planOf(files)), expected));
}

Targets("targets that refer to each other without end are refused", async () => {
  const levels = Array.from({ length: 40 }, (_, level) => level + 1);
  const doubled = (line: (level: number) => string): string => levels.map(line).join("\n");
  const inherits = doubled((n) => `target "t${n}" { inherits = ["t${n - 1}", "t${n - 1}"] }`);
  const contexts = doubled((n) => `target "t${n}" { contexts = { a = "target:t${n - 1}", b = "target:t${n - 1}" } }`);
  const groups = doubled(
    (n) => `group "g${n}" { targets = ["g${n - 1}", "x${n}"] }\ngroup "x${n}" { targets = ["g${n - 1}"] }`,
  );
  for (const [file, name] of [
    [`target "t0" {}\n${inherits}`, "t40"],
    [`target "t0" {}\n${contexts}`, "t40"],
    [`target "g0" {}\n${groups}`, "g40"],
  ] as const) {
    assert.match(await failure(planOf(file, { targets: [name] })), /refer to each other too often/);
  }
});

Targets("values of the environment that cannot be are told", async () => {
  const told = (env: Record<string, string>) => failure(planOf(VARIABLES, { env }));
  assert.match(
    await told({ SWITCH: "maybe" }),
    /hcl:5:1: the variable SWITCH cannot be "maybe": this is neither true nor/,
  );
  assert.match(await told({ COUNT: "many" }), /the variable COUNT cannot be "many": a number is needed here/);
  assert.match(await told({ LIST: "a,b" }), /the variable LIST is no string.* \| a type says how to read it/);
  assert.match(await told({ TYPED: "1,b" }), /the variable TYPED cannot be "1,b"/);
  assert.match(
    await told({ OBJECT: "x" }),
    /the variable OBJECT cannot be "x": it is of type object.* \| OBJECT_JSON gives it as JSON/,
  );
  assert.match(
    await failure(planOf(VARIABLES, { variables: { TEXTT: "x" } })),
    /no file declares the variable TEXTT \| did you mean TEXT\?/,
  );
});

Targets.run();
