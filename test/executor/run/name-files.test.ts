import * as fs from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checkHost, hostsFile, resolverFile } from "../../../src/executor/run/name-files.ts";
import { workspace } from "../../support/workspace.ts";

const Names = suite("hosts and resolv.conf of a step");

for (const [address, expected] of [
  ["10.0.0.1", "10.0.0.1"],
  ["::1", "::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["host-gateway", "127.0.0.1"],
] as const) {
  Names(`${address} is ${expected}`, () => {
    assert.equal(checkHost({ host: "h", address }), { host: "h", address: expected });
  });
}

Names("a step knows itself, and what the build adds", () => {
  assert.is(
    hostsFile([
      { host: "db", address: "10.0.0.1" },
      { host: "db", address: "::2" },
    ]),
    "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.1\tdb\n::2\tdb\n",
  );
});

Names("resolv.conf is the machine's, whatever links it is behind, and empty without a network", () => {
  const folder = workspace();
  fs.writeFileSync(join(folder, "real"), "nameserver 127.0.0.53\n");
  fs.symlinkSync("real", join(folder, "link"));
  fs.symlinkSync("nowhere", join(folder, "broken"));
  assert.is(resolverFile("host", join(folder, "link")), "nameserver 127.0.0.53\n");
  assert.is(resolverFile("none", join(folder, "link")), "");
  assert.is(resolverFile("host", join(folder, "broken")), "");
  assert.is(resolverFile("host", folder), "");
  fs.writeFileSync(join(folder, "large"), "#".repeat(1_000_000));
  assert.is(resolverFile("host", join(folder, "large")).length, 65_536);
});

Names.run();
