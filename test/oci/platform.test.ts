import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import {
  choosePlatform,
  formatPlatform,
  hostPlatform,
  listPlatforms,
  parsePlatform,
  runsOn,
} from "../../src/oci/platform.ts";
import type { Descriptor, Platform } from "../../src/oci/types.ts";

const test = suite("platform");

for (const [text, expected] of [
  ["linux/amd64", "linux/amd64"],
  ["linux/x86_64", "linux/amd64"],
  ["linux/x86-64", "linux/amd64"],
  ["Linux/AMD64", "linux/amd64"],
  ["linux/amd64/v1", "linux/amd64"],
  ["linux/amd64/v3", "linux/amd64/v3"],
  ["linux/aarch64", "linux/arm64"],
  ["linux/arm64/v8", "linux/arm64"],
  ["linux/arm64/8", "linux/arm64"],
  ["linux/arm64/v9", "linux/arm64/v9"],
  ["linux/arm", "linux/arm/v7"],
  ["linux/arm/7", "linux/arm/v7"],
  ["linux/arm/v6", "linux/arm/v6"],
  ["linux/armhf", "linux/arm/v7"],
  ["linux/armel", "linux/arm/v6"],
  ["linux/i386", "linux/386"],
  ["macos/arm64", "darwin/arm64"],
  ["linux/riscv64", "linux/riscv64"],
  ["windows/amd64", "windows/amd64"],
  ["arm64", "linux/arm64"],
  ["x86_64", "linux/amd64"],
  ["armhf", "linux/arm/v7"],
  ["linux", formatPlatform(hostPlatform())],
] as const) {
  test(`${text} is ${expected}`, () => {
    const platform = parsePlatform(text);
    assert.is(formatPlatform(platform), expected);
    assert.equal(parsePlatform(formatPlatform(platform)), platform);
  });
}

for (const [text, reason] of [
  ["", "a part of it is empty"],
  ["linux/", "a part of it is empty"],
  ["/amd64", "a part of it is empty"],
  ["linux/arm/v7/x", "it has more than three parts"],
  ["linux/am d64", '"am d64" is not a name'],
  ["linux/amd64\n", '"amd64\\n" is not a name'],
  ["intel", "neither an operating system nor an architecture"],
] as const) {
  test(`${JSON.stringify(text)} is refused: ${reason}`, () => {
    assert.throws(
      () => parsePlatform(text),
      (error: KbuildError) =>
        error instanceof KbuildError && error.code === "usage.platform" && error.message.includes(reason),
    );
  });
}

for (const [arch, expected] of [
  ["x64", "linux/amd64"],
  ["arm64", "linux/arm64"],
  ["ia32", "linux/386"],
  ["s390x", "linux/s390x"],
  ["riscv64", "linux/riscv64"],
  ["ppc64", "linux/ppc64le"],
  ["loong64", "linux/loong64"],
] as const) {
  test(`a machine that node calls ${arch} builds for ${expected}`, () => {
    assert.is(formatPlatform(hostPlatform(arch)), expected);
  });
}

// Each row: what is wanted, what the index has, what containerd's platforms.Only takes.
for (const [wanted, has, expected] of [
  ["linux/amd64", "linux/arm64 linux/amd64", "linux/amd64"],
  ["linux/amd64", "linux/386 linux/amd64", "linux/amd64"],
  ["linux/amd64", "linux/386 linux/arm64", "linux/386"],
  ["linux/amd64", "linux/amd64/v2", undefined],
  ["linux/amd64", "windows/amd64", undefined],
  ["linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v4", "linux/amd64/v2"],
  ["linux/amd64/v3", "linux/amd64 linux/386", "linux/amd64"],
  ["linux/amd64/v2", "linux/amd64/v3", undefined],
  ["linux/arm64", "linux/arm/v7 linux/arm64/v8", "linux/arm64/v8"],
  ["linux/arm64", "linux/arm/v6 linux/arm/v7", "linux/arm/v7"],
  ["linux/arm64", "linux/amd64 linux/arm/v5", "linux/arm/v5"],
  ["linux/arm64/v9", "linux/arm64 linux/arm/v7", "linux/arm64"],
  ["linux/arm/v8", "linux/arm/v6 linux/arm/v7", "linux/arm/v7"],
  ["linux/arm/v7", "linux/arm/v5 linux/arm/v6", "linux/arm/v6"],
  ["linux/arm/v7", "linux/arm", "linux/arm"],
  ["linux/arm/v6", "linux/arm/v7 linux/arm/v5", "linux/arm/v5"],
  ["linux/arm/v6", "linux/arm/v7", undefined],
  ["linux/arm/v7", "linux/arm64", undefined],
  ["linux/386", "linux/amd64", undefined],
  ["linux/riscv64", "linux/amd64", undefined],
  ["linux/riscv64", "linux/riscv64", "linux/riscv64"],
  ["linux/amd64", "unknown/unknown", undefined],
  ["unknown/unknown", "unknown/unknown", undefined],
  ["linux/amd64", "-", "-"],
  ["linux/amd64", "- linux/amd64", "linux/amd64"],
  ["linux/amd64", "linux/arm64 -", "-"],
] as const) {
  test(`for ${wanted} an index of ${has} gives ${expected ?? "nothing"}`, () => {
    const manifests = has.split(" ").map(entry);
    const chosen = choosePlatform(manifests, parsePlatform(wanted));
    const found = chosen && (chosen.platform ? formatPlatform(chosen.platform) : "-");
    assert.is(found, expected);
  });
}

test("of two entries for one platform the first is taken", () => {
  const manifests = [entry("linux/amd64", 0), entry("linux/amd64", 1)];
  assert.is(choosePlatform(manifests, parsePlatform("linux/amd64")), manifests[0]);
});

test("an attestation is passed over whatever platform it claims", () => {
  const attestation = {
    ...entry("linux/amd64", 0),
    annotations: { "vnd.docker.reference.type": "attestation-manifest" },
  };
  const image = entry("linux/amd64", 1);
  assert.is(choosePlatform([attestation, image], parsePlatform("linux/amd64")), image);
  assert.equal(listPlatforms([attestation, entry("unknown/unknown"), image, entry("linux/arm"), entry("-")]), [
    "linux/amd64",
    "linux/arm/v7",
  ]);
});

test("what runs on what", () => {
  assert.ok(runsOn(parsePlatform("linux/386"), parsePlatform("linux/amd64")));
  assert.not.ok(runsOn(parsePlatform("linux/amd64"), parsePlatform("linux/386")));
});

/** `-` is an entry without a platform. The platform is taken as written, as a registry would give it. */
function entry(text: string, index = 0): Descriptor {
  const [os = "", architecture = "", variant] = text.split("/");
  const platform: Platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  return {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${String(index).repeat(64)}`,
    size: 1,
    ...(text === "-" ? {} : { platform }),
  };
}

test.run();
