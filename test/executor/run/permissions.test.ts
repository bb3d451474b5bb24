import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Entitlement } from "../../../src/executor/options.ts";
import { runPermissions } from "../../../src/executor/run/permissions.ts";
import { refusal, runOf } from "./support.ts";

function permissions(flags: string, network: "host" | "none", allow: readonly Entitlement[] = []) {
  const { network: given, security } = runPermissions(runOf(`RUN ${flags} a`), { network, allow: new Set(allow) });
  return `${given} ${security}`;
}

const Permissions = suite("what a RUN may ask for");

for (const [flags, network, allow, expected] of [
  ["", "host", [], "host default"],
  ["", "none", [], "none default"],
  ["--network=default", "none", [], "none default"],
  ["--network=none", "host", [], "none default"],
  ["--network=host", "host", [], "host default"],
  ["--network=host", "none", ["network.host"], "host default"],
  ["--security=sandbox", "host", [], "host default"],
  ["--security=insecure", "host", ["security.insecure"], "host insecure"],
] as const) {
  Permissions(`${flags} with ${network} and ${allow.join() || "nothing allowed"}`, () => {
    assert.is(permissions(flags, network, allow), expected);
  });
}

for (const [flags, network, allow, code, hint, column] of [
  ["--security=insecure", "host", ["network.host"], "build.notAllowed", /--allow security\.insecure/, 5],
  ["--network=host", "none", ["security.insecure"], "build.notAllowed", /--allow network\.host/, 5],
  ["--network=none --device=vendor.com/gpu=all", "host", [], "build.notSupported", /image is run/, 29],
] as const) {
  Permissions(`${flags} with ${network} is refused at its place`, async () => {
    const error = await refusal(() => permissions(flags, network, allow));
    assert.is(error.code, code);
    assert.match(error.hint ?? "", hint);
    assert.equal([error.location?.line, error.location?.column], [2, column]);
  });
}

Permissions.run();
