import { suite } from "uvu";
import * as assert from "uvu/assert";
import { overridesOf, type Shorthands } from "../../src/bake/shorthands.ts";
import { failure, planOf, targetOf } from "../support/bake.ts";

const Overrides = suite("--set");

const FILE = `
target "base" {
  args = { A = "1" }
  tags = ["t"]
}
target "web" {
  inherits = ["base"]
  output = ["type=image", "type=oci,dest=x"]
  cache-from = ["a"]
  no-cache-filter = ["s"]
}
target "web-dev" {}
`;

const rows: readonly (readonly [set: string | readonly string[], attribute: string, expected: unknown])[] = [
  ["web.args.B=2", "args", { A: "1", B: "2" }],
  ["web.args.A=x=y", "args", { A: "x=y" }],
  ["web.args.HOME", "args", { A: "1", HOME: "/h" }],
  ["web.args.UNSET", "args", { A: "1" }],
  ["base.args.A=9", "args", { A: "9" }],
  ["*.args.A=3", "args", { A: "3" }],
  ["w?b.args.A=4", "args", { A: "4" }],
  ["[vw]eb.args.A=5", "args", { A: "5" }],
  ["web.labels.a.b=c", "labels", { "a.b": "c" }],
  ["web.contexts.x=dir", "contexts", { x: "dir" }],
  ["web.tags=n", "tags", ["n"]],
  [["web.tags=n", "web.tags=m"], "tags", ["n", "m"]],
  ["web.tags+=n", "tags", ["t", "n"]],
  ["web.platform=linux/arm64", "platforms", ["linux/arm64"]],
  ["web.tags=", "tags", undefined],
  ["web.tag=n", "tags", ["n"]],
  ["web.arg.A=7", "args", { A: "7" }],
  ["web.resource.memory=1g", "resources", { memory: "1g" }],
  ["web.resources.cpu-quota=5", "resources", { "cpu-quota": 5 }],
  ["web.context=src", "context", "src"],
  ["web.dockerfile=", "dockerfile", "Dockerfile"],
  ["web.target=bin", "target", "bin"],
  ["web.no-cache=1", "no-cache", true],
  ["web.pull=false", "pull", false],
  ["web.no-cache-filter=x", "no-cache-filter", ["x"]],
  ["web.cache-from=b", "cache-from", [{ ref: "b", type: "registry" }]],
  [
    "web.cache-from+=b",
    "cache-from",
    [
      { ref: "a", type: "registry" },
      { ref: "b", type: "registry" },
    ],
  ],
  ["web.output=type=docker,dest=y", "output", [{ dest: "y", type: "docker" }]],
  ["web.secrets=id=a,src=b", "secret", [{ id: "a", src: "b" }]],
  ["web.ssh=default", "ssh", [{ id: "default" }]],
  ["web.annotations=k=v", "annotations", ["k=v"]],
  ["web.attest=type=sbom", "attest", [{ type: "sbom" }]],
  ["web.entitlements=security.insecure", "entitlements", ["security.insecure"]],
  ["web.ulimits=nofile=1", "ulimits", ["nofile=1"]],
  ["web.shm-size=1m", "shm-size", "1m"],
  ["web.extra-hosts.db=1.2.3.4", "extra-hosts", { db: "1.2.3.4" }],
  ["web.network=host", "entitlements", ["network.host"]],
  [
    "web.push=true",
    "output",
    [
      { push: "true", type: "image" },
      { dest: "x", type: "oci" },
    ],
  ],
  [
    "web.push=false",
    "output",
    [
      { push: "false", type: "image" },
      { dest: "x", type: "oci" },
    ],
  ],
  ["web.load=true", "output", [{ type: "image" }, { dest: "x", type: "oci" }, { type: "docker" }]],
];

for (const [set, attribute, expected] of rows) {
  Overrides(`${[set].flat().join(" ")} changes ${attribute}`, async () => {
    const target = await targetOf(FILE, "web", { set: [set].flat(), env: { HOME: "/h" } });
    assert.equal(target[attribute as keyof typeof target], expected);
  });
}

Overrides("a name that is a target's is no pattern, and others are not touched", async () => {
  const { target } = await planOf(FILE, { targets: ["web", "web-dev"], set: ["web.args.Z=1"] });
  assert.is(target["web-dev"]?.args, undefined);
  const both = await planOf(FILE, { targets: ["web", "web-dev"], set: ["web*.args.Z=1"] });
  assert.equal(both.target["web-dev"]?.args, { Z: "1" });
});

const shorthands: readonly (readonly [options: Shorthands, file: string, output: unknown])[] = [
  [{ push: true }, "", [{ push: "true", type: "image" }]],
  [{ load: true }, "", [{ type: "docker" }]],
  [{ load: true }, 'output = ["type=local,dest=out"]', [{ dest: "out", type: "local" }]],
  [{ push: true }, 'output = ["type=local,dest=out"]', [{ dest: "out", type: "local" }]],
  [{ push: true, load: true }, "", [{ push: "true", type: "image" }, { type: "docker" }]],
];

for (const [options, attribute, expected] of shorthands) {
  const name = `--${Object.keys(options).join(" --")} on a target with ${attribute === "" ? "no output" : attribute}`;
  Overrides(name, async () => {
    const { output } = await targetOf(`target "default" {\n${attribute}\n}`, "default", { set: overridesOf(options) });
    assert.equal(output, expected);
  });
}

Overrides("other options stand for --set as well", () => {
  assert.equal(overridesOf({ noCache: true, pull: false, sbom: "true", provenance: "mode=max", call: "check" }), [
    "*.call=check",
    "*.no-cache=true",
    "*.pull=false",
    "*.attest=type=sbom",
    "*.attest=type=provenance,mode=max",
  ]);
  assert.equal(overridesOf({ provenance: "false", call: "build" }), ["*.attest=type=provenance,disabled=true"]);
});

const faults: readonly (readonly [set: string, expected: RegExp])[] = [
  ["web", /^--set "web": this must be TARGET\.KEY=VALUE/],
  ["web.tags", /--set "web\.tags": a value is missing \| for instance --set web\.tags=VALUE/],
  ["web.args=1", /args needs a name \| for instance --set web\.args\.NAME=VALUE/],
  ["web.tags.x=1", /tags has no parts/],
  ["web.tgas=x", /a target has no tgas \| did you mean tags\?/],
  ["web.resource.cpus=x", /resources has no cpus \| it has memory/],
  ["web.inherits=x", /inherits can only be set in a file/],
  ["wob.tags=x", /no target matches wob \| did you mean web\?/],
  ["x*.tags=x", /no target matches x\* \| there is base, web, web-dev/],
  ["web.pull=maybe", /this is neither true nor false/],
  ["web.output=dest=x", /output needs a type/],
];

for (const [set, expected] of faults) {
  Overrides(`${set} is refused`, async () =>
    assert.match(await failure(targetOf(FILE, "web", { set: [set] })), expected),
  );
}

Overrides.run();
