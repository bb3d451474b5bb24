import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  repositoryName,
  withDigest,
} from "../../src/oci/reference.ts";
import type { Digest } from "../../src/oci/types.ts";

const test = suite("reference");
const hex = "0123456789abcdef".repeat(4);
const digest: Digest = `sha256:${hex}`;

// What docker makes of each: distribution/reference's own tables, and `docker image ls`.
for (const [text, canonical, familiar] of [
  ["node", "docker.io/library/node:latest", "node:latest"],
  ["node:20", "docker.io/library/node:20", "node:20"],
  ["library/node:20", "docker.io/library/node:20", "node:20"],
  ["docker.io/node:20", "docker.io/library/node:20", "node:20"],
  ["docker.io/library/node:20", "docker.io/library/node:20", "node:20"],
  ["index.docker.io/node", "docker.io/library/node:latest", "node:latest"],
  ["index.docker.io/user/tool", "docker.io/user/tool:latest", "user/tool:latest"],
  ["user/tool", "docker.io/user/tool:latest", "user/tool:latest"],
  ["library/foo/bar", "docker.io/library/foo/bar:latest", "library/foo/bar:latest"],
  ["ghcr.io/user/tool:1.2.3-alpine", "ghcr.io/user/tool:1.2.3-alpine", "ghcr.io/user/tool:1.2.3-alpine"],
  ["localhost/foo", "localhost/foo:latest", "localhost/foo:latest"],
  ["localhost:5000/foo", "localhost:5000/foo:latest", "localhost:5000/foo:latest"],
  ["127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c"],
  ["[::1]:5000/foo:1", "[::1]:5000/foo:1", "[::1]:5000/foo:1"],
  ["[fd00:1:2::3]/repo", "[fd00:1:2::3]/repo:latest", "[fd00:1:2::3]/repo:latest"],
  ["LOCALHOST/foo", "LOCALHOST/foo:latest", "LOCALHOST/foo:latest"],
  ["Registry/foo", "Registry/foo:latest", "Registry/foo:latest"],
  ["foo_bar", "docker.io/library/foo_bar:latest", "foo_bar:latest"],
  ["foo__bar/a--b", "docker.io/foo__bar/a--b:latest", "foo__bar/a--b:latest"],
  ["node:5000", "docker.io/library/node:5000", "node:5000"],
  ["node:_x", "docker.io/library/node:_x", "node:_x"],
  [`node@${digest}`, `docker.io/library/node@${digest}`, `node@${digest}`],
  [`node:20@${digest}`, `docker.io/library/node:20@${digest}`, `node:20@${digest}`],
  [`a.b:1/c@${digest}`, `a.b:1/c@${digest}`, `a.b:1/c@${digest}`],
  [hex.slice(1), `docker.io/library/${hex.slice(1)}:latest`, `${hex.slice(1)}:latest`],
  [`node:${"t".repeat(128)}`, `docker.io/library/node:${"t".repeat(128)}`, `node:${"t".repeat(128)}`],
  [`a/${"b".repeat(253)}`, `docker.io/a/${"b".repeat(253)}:latest`, `a/${"b".repeat(253)}:latest`],
] as const) {
  test(`${text.slice(0, 60)} is ${canonical.slice(0, 60)}`, () => {
    const reference = parseReference(text);
    assert.is(canonicalName(reference), canonical);
    assert.is(familiarName(reference), familiar);
    assert.equal(parseReference(canonical), reference, "the full name means the same");
    assert.equal(parseReference(familiar), reference, "the short name means the same");
  });
}

for (const [text, message, hint] of [
  ["", "it is empty", undefined],
  [" node", 'the character " " is not allowed', undefined],
  ["node\n", 'the character "\\n" is not allowed', undefined],
  ["nöde", 'the character "ö" is not allowed', undefined],
  ["a💥b", 'the character "💥" is not allowed', undefined],
  ["https://ghcr.io/a/b", "it is an address with a scheme", "Leave the scheme out: ghcr.io/a/b"],
  ["http://h/a?b", 'the character "?" is not allowed', "Leave the scheme out: h/a?b"],
  ["Node:20", "a repository is written in lowercase", "Try node:20"],
  ["user/Tool:V1", "a repository is written in lowercase", "Try user/tool:V1"],
  ["ghcr.io/User/Tool:V1", "a repository is written in lowercase", "Try ghcr.io/user/tool:V1"],
  ["docker.io/Node", "a repository is written in lowercase", "Try docker.io/node"],
  [hex, "64 hexadecimal digits are read as an ID", `To name an image by its digest, write name@sha256:${hex}`],
  ["node:", "the tag after the colon is missing", undefined],
  ["node:-x", '"-x" is not a tag', "letters, digits"],
  ["node:a:b", '"a:b" is not a tag', "letters, digits"],
  [`node:${"t".repeat(129)}`, "the tag has 129 characters, at most 128", undefined],
  [`a/${"b".repeat(254)}`, "the repository has 256 characters, at most 255", undefined],
  ["x".repeat(2000), "it is 2000 characters long", undefined],
  ["a//b", "an empty part between two slashes", undefined],
  ["/a", "an empty part between two slashes", undefined],
  ["a/", "an empty part between two slashes", undefined],
  ["docker.io/", "the repository is missing", undefined],
  ["ghcr.io/", "the repository is missing", undefined],
  ["a..b", '"a..b" is not a part of a repository', "lowercase letters and digits"],
  ["-a", '"-a" is not a part', "lowercase letters"],
  ["a_", '"a_" is not a part', "lowercase letters"],
  ["-h.io/a", '"-h.io" is not a host', undefined],
  ["h..io/a", '"h..io" is not a host', undefined],
  ["h:99999/a", "99999 is not a port", undefined],
  ["h:/a", '"h:" is not a host', undefined],
  ["[::1/a", '"[::1" is not a host', undefined],
  ["node@", "what follows the @ is not a digest", "sha256: and 64"],
  ["node@20", "what follows the @ is not a digest", "sha256: and 64"],
  ["node@sha256:abc", '"sha256:abc" is not a digest', "sha256: and 64"],
  [`node@sha256:${hex.toUpperCase()}`, "a digest is written in lowercase", `Write sha256:${hex}`],
  [`node@sha512:${hex}${hex}`, "kbuild verifies sha256 digests only, not sha512", undefined],
  [`node@${digest}@${digest}`, "is not a digest", "sha256: and 64"],
  [`@${digest}`, "the repository is missing", undefined],
] as const) {
  test(`${JSON.stringify(text.slice(0, 40))} is refused: ${message}`, () => {
    try {
      parseReference(text);
    } catch (error) {
      assert.instance(error, KbuildError);
      const { code, message: actual, hint: actualHint } = error as KbuildError;
      assert.is(code, "usage.reference");
      assert.ok(actual.includes(message), actual);
      if (hint === undefined) assert.is(actualHint, undefined);
      else assert.ok(actualHint?.includes(hint), actualHint);
      return;
    }
    assert.unreachable("it was accepted");
  });
}

test("the caller names the error's code, so that a Dockerfile's mistake is the Dockerfile's", () => {
  assert.throws(
    () => parseReference("A", "build.reference"),
    (error: KbuildError) => error.code === "build.reference",
  );
});

test("the names of the parts", () => {
  const reference = parseReference("localhost:5000/a/b:1");
  assert.equal(reference, { domain: "localhost:5000", path: "a/b", tag: "1" });
  assert.is(repositoryName(reference), "localhost:5000/a/b");
  assert.is(familiarRepository(parseReference("docker.io/library/node")), "node");
  assert.equal(withDigest(reference, digest), { ...reference, digest });
});

test("whatever the text, either it is refused by a KbuildError or its full name means the same again", () => {
  const alphabet = fc.constantFrom(..."abzAZ09._-/:@[]", "docker.io/", "library/", "localhost:1/", `@${digest}`, "é");
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 12 }), (parts) => {
      let reference: ReturnType<typeof parseReference>;
      try {
        reference = parseReference(parts.join(""));
      } catch (error) {
        assert.instance(error, KbuildError);
        return;
      }
      assert.equal(parseReference(canonicalName(reference)), reference);
    }),
    { numRuns: 5000 },
  );
});

test.run();
