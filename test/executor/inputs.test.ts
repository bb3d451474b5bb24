import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { givenArguments, isProxyArgument, platformArguments } from "../../src/executor/arguments.ts";
import { readInputs } from "../../src/executor/inputs.ts";
import type { BuildOptions } from "../../src/executor/options.ts";
import { environmentOf, lookupVariable, withEnvironment } from "../../src/executor/state.ts";
import { formatPlatform, hostPlatform } from "../../src/oci/platform.ts";
import { canonicalName } from "../../src/oci/reference.ts";

const Inputs = suite("what a build's options mean");

const read = (options: Partial<BuildOptions>) => readInputs({ context: ".", env: {}, ...options });

Inputs("nothing but a context", () => {
  const inputs = read({});
  assert.equal(inputs.references, []);
  assert.equal(inputs.buildPlatform, hostPlatform());
  assert.equal(inputs.targetPlatforms, [hostPlatform()]);
  assert.is(inputs.given.size + inputs.buildContexts.size, 0);
  assert.is(inputs.epoch, undefined);
});

Inputs("names of tags are for every output, those of an output are its own, and each is told once", () => {
  const { references, allReferences } = read({
    tags: ["web", "docker.io/library/web:latest", "Host:5000/x:1"],
    outputs: [
      { type: "image", name: "web:2,web" },
      { type: "docker", dest: "-" },
      { type: "tar", dest: "x" },
    ],
  });
  assert.equal(references.map(canonicalName), ["docker.io/library/web:latest", "Host:5000/x:1"]);
  assert.equal(allReferences.map(canonicalName), [
    "docker.io/library/web:latest",
    "Host:5000/x:1",
    "docker.io/library/web:2",
  ]);
});

for (const [name, options, expected] of [
  ["a number", { sourceDateEpoch: 7 }, 7],
  ["the environment", { env: { SOURCE_DATE_EPOCH: "12" } }, 12],
  [
    "a build argument before the environment",
    { buildArgs: { SOURCE_DATE_EPOCH: "5" }, env: { SOURCE_DATE_EPOCH: "12" } },
    5,
  ],
  ["the option before all", { sourceDateEpoch: 0, buildArgs: { SOURCE_DATE_EPOCH: "5" } }, 0],
  ["blank is nothing", { env: { SOURCE_DATE_EPOCH: "" } }, undefined],
  ["the last second of year 9999", { sourceDateEpoch: 253_402_300_799 }, 253_402_300_799],
] as const) {
  Inputs(`SOURCE_DATE_EPOCH: ${name}`, () => {
    assert.is(read(options).epoch, expected);
  });
}

const DIGEST = `sha256:${"0".repeat(64)}`;
const wrong: readonly (readonly [Partial<BuildOptions>, string])[] = [
  [{ tags: ["UPPER"] }, "usage.reference"],
  [{ tags: [""] }, "usage.reference"],
  [{ tags: [`web@${DIGEST}`] }, "usage.reference"],
  [{ outputs: [{ type: "image", name: "a,,b" }] }, "usage.reference"],
  [{ platform: "no/such/thing/here" }, "usage.platform"],
  [{ platform: "linux/amd64,no/such/thing/here" }, "usage.platform"],
  [{ annotations: [{ level: "index", key: "a", value: "b" }] }, "usage.annotation"],
  [{ annotations: [{ platform: "linux/s390x", key: "a", value: "b" }] }, "usage.annotation"],
  [{ buildContexts: { a: "target:b" } }, "usage.notSupported"],
  [{ buildContexts: { Scratch: "." } }, "usage.option"],
  [{ sourceDateEpoch: -1 }, "usage.epoch"],
  [{ sourceDateEpoch: 1.5 }, "usage.epoch"],
  [{ sourceDateEpoch: Number.NaN }, "usage.epoch"],
  [{ sourceDateEpoch: 253_402_300_800 }, "usage.epoch"],
  [{ env: { SOURCE_DATE_EPOCH: "-1" } }, "usage.epoch"],
  [{ env: { SOURCE_DATE_EPOCH: "1e3" } }, "usage.epoch"],
  [{ env: { SOURCE_DATE_EPOCH: "9".repeat(1000) } }, "usage.epoch"],
];
for (const [options, code] of wrong) {
  Inputs(`${JSON.stringify(options).slice(0, 80)}: ${code}`, () => {
    assert.throws(
      () => read(options),
      (error: unknown) => error instanceof KbuildError && error.code === code && error.exitStatus === 2,
    );
  });
}

Inputs("SOURCE_DATE_EPOCH of the environment is an argument as well, unless one is given", () => {
  const env = { SOURCE_DATE_EPOCH: "5" };
  assert.is(read({ env }).given.get("SOURCE_DATE_EPOCH"), "5");
  assert.is(read({ env, buildArgs: { SOURCE_DATE_EPOCH: "6" } }).epoch, 6);
  assert.is(read({}).given.has("SOURCE_DATE_EPOCH"), false);
});

Inputs("several platforms, each once", () => {
  const platform = ["linux/amd64,linux/arm64", "linux/x86_64"];
  assert.equal(read({ platform }).targetPlatforms.map(formatPlatform), ["linux/amd64", "linux/arm64"]);
  assert.equal(read({ platform: "local" }).targetPlatforms, [hostPlatform()]);
});

Inputs("named contexts are folders and images", () => {
  const buildContexts = { a: "./folder", b: "docker-image://x", c: "oci-layout://y:1", __proto__x: "z" };
  assert.equal([...read({ buildContexts }).buildContexts], Object.entries(buildContexts));
});

Inputs.run();

const Arguments = suite("build arguments");

Arguments("a value that is not told is the environment's, or there is none", () => {
  const given = givenArguments({ a: "1", b: "", c: null, d: null }, { a: "x", c: "from outside" });
  assert.equal(
    [...given],
    [
      ["a", "1"],
      ["b", ""],
      ["c", "from outside"],
    ],
  );
  assert.is(givenArguments(undefined, {}).size, 0);
});

Arguments("what every object has is no part of the environment", () => {
  assert.is(givenArguments({ constructor: null, toString: null }, {}).size, 0);
  assert.is(givenArguments({ constructor: null, hasOwnProperty: null }, process.env).size, 0);
});

for (const [name, expected] of [
  ["HTTP_PROXY", true],
  ["http_proxy", true],
  ["Http_Proxy", false],
  ["no_proxy", true],
  ["ALL_PROXY", true],
  ["ftp_proxy", true],
  ["PROXY", false],
  ["HTTP_PROXY2", false],
] as const) {
  Arguments(`${name} ${expected ? "is" : "is not"} a proxy's`, () => {
    assert.is(isProxyArgument(name), expected);
  });
}

Arguments("platforms in all their parts", () => {
  const target = { os: "windows", architecture: "arm", variant: "v7", "os.version": "10.0" };
  const values = platformArguments({ os: "linux", architecture: "amd64" }, target, "build");
  assert.equal(Object.fromEntries(values), {
    TARGETSTAGE: "build",
    BUILDPLATFORM: "linux/amd64",
    BUILDOS: "linux",
    BUILDOSVERSION: "",
    BUILDARCH: "amd64",
    BUILDVARIANT: "",
    TARGETPLATFORM: formatPlatform(target),
    TARGETOS: "windows",
    TARGETOSVERSION: "10.0",
    TARGETARCH: "arm",
    TARGETVARIANT: "v7",
  });
});

Arguments("of an argument and a variable of one name the argument counts while it is declared with a value", () => {
  const scope = {
    arguments: new Map([
      ["a", "1"],
      ["b", undefined],
    ]),
    environment: new Map([
      ["a", "x"],
      ["b", "y"],
      ["c", ""],
    ]),
  };
  assert.equal(
    ["a", "b", "c", "d"].map((name) => lookupVariable(scope, name)),
    ["1", "y", "", undefined],
  );
});

Arguments("variables of a configuration", () => {
  assert.equal(
    [...environmentOf({ Env: ["a=1", "b", "c=d=e", "=x", "a=2"] })],
    [
      ["a", "2"],
      ["b", ""],
      ["c", "d=e"],
      ["", "x"],
    ],
  );
  assert.equal(withEnvironment({}, "a", "1").Env, ["a=1"]);
  assert.equal(withEnvironment({ Env: ["ab=1", "a=1", "b=2"] }, "a", "").Env, ["ab=1", "a=", "b=2"]);
});

Arguments.run();
