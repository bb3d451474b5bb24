import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { checkFrontend } from "../../src/executor/frontend.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";

const Frontend = suite("the language that # syntax= names");

const DIGEST = `sha256:${"a".repeat(64)}`;
for (const [syntax, isRead] of [
  ["docker/dockerfile", true],
  ["docker/dockerfile:1", true],
  ["docker/dockerfile:1.20-labs", true],
  ["docker.io/docker/dockerfile:1.7.0", true],
  [`docker/dockerfile:1@${DIGEST}`, true],
  ["docker/dockerfile-upstream:master-labs", true],
  ["example.com/docker/dockerfile:1", false],
  ["docker/dockerfile-experimental", false],
  ["r2d4/mocker", false],
  ["UPPER", false],
] as const) {
  Frontend(`${syntax} is ${isRead ? "read" : "refused"}`, () => {
    const dockerfile = parseDockerfile(`# syntax=${syntax}\nFROM scratch\n`, "Dockerfile");
    const isRefused = (error: unknown) => error instanceof KbuildError && error.code === "build.frontend";
    if (isRead) checkFrontend(dockerfile, new Map());
    else assert.throws(() => checkFrontend(dockerfile, new Map()), isRefused);
    const plain = parseDockerfile("FROM scratch\n", "Dockerfile");
    const given = new Map([["BUILDKIT_SYNTAX", syntax]]);
    if (isRead) checkFrontend(plain, given);
    else assert.throws(() => checkFrontend(plain, given), isRefused);
  });
}

Frontend("the build argument goes before the line, and the error has the line's place", () => {
  const dockerfile = parseDockerfile("# syntax=other/one\nFROM scratch\n", "Dockerfile");
  checkFrontend(dockerfile, new Map([["BUILDKIT_SYNTAX", "docker/dockerfile:1"]]));
  try {
    checkFrontend(dockerfile, new Map());
    assert.unreachable();
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    assert.is(error.location?.line, 1);
    assert.is(error.location?.column, 10);
    assert.match(error.hint ?? "", /--ignore-syntax/);
  }
});

Frontend.run();
