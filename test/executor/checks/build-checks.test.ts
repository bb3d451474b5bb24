import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import type { BaseImage } from "../../../src/executor/base.ts";
import { BuildChecks } from "../../../src/executor/checks/build-checks.ts";
import { Emitter } from "../../../src/executor/emitter.ts";
import type { BuildEvent } from "../../../src/executor/events.ts";
import { readInputs } from "../../../src/executor/inputs.ts";
import { planBuild } from "../../../src/executor/plan.ts";
import type { ImageConfig } from "../../../src/oci/types.ts";
import { parseDockerfile } from "../../../src/parser/parser.ts";

const Checks = suite("the checks of a build");

interface Setting {
  readonly target?: string;
  /** The images that there are, by name. */
  readonly images?: Readonly<Record<string, Partial<ImageConfig>>>;
  readonly args?: Readonly<Record<string, string>>;
  readonly contexts?: Readonly<Record<string, string>>;
}

async function build(
  source: string,
  { target, images = {}, args = {}, contexts = {} }: Setting = {},
): Promise<{ readonly told: string[]; readonly asked: string[]; readonly failure: KbuildError | undefined }> {
  const events: BuildEvent[] = [];
  const emitter = new Emitter((event) => events.push(event));
  const inputs = readInputs({
    context: ".",
    buildArgs: args,
    platform: "linux/amd64",
    buildContexts: contexts,
    env: {},
  });
  const dockerfile = parseDockerfile(source, "Dockerfile");
  const checks = new BuildChecks(dockerfile, inputs, target, emitter);
  const [targetPlatform = inputs.buildPlatform] = inputs.targetPlatforms;
  const plan = planBuild(dockerfile, {
    ...inputs,
    targetPlatform,
    target,
    contextNames: new Set(Object.keys(contexts)),
  });
  const asked: string[] = [];
  await checks.checkStages(plan, [], {
    image: async (name) => {
      asked.push(name);
      const config = images[name];
      if (config === undefined) throw new KbuildError("registry.notFound", "it is not there");
      return {
        config: { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] }, ...config },
      } as BaseImage;
    },
  });
  checks.tell();
  checks.tell();
  const told = events.flatMap((event) => (event.type === "warning" ? [`${event.code} ${event.location?.line}`] : []));
  try {
    checks.failOnFindings();
    return { told, asked, failure: undefined };
  } catch (failure) {
    assert.instance(failure, KbuildError);
    return { told, asked, failure: failure as KbuildError };
  }
}

Checks("only stages that are built are looked into, and only their images asked for", async () => {
  const source = "FROM a AS A\nENV a b\nFROM b AS x\nENV a b\nFROM x\nCOPY $c /\n";
  const all = await build(source, { images: { a: {}, b: {} } });
  assert.equal(all.told, ["StageNameCasing 1", "LegacyKeyValueFormat 4", "UndefinedVar 6"]);
  assert.equal(all.asked, ["b"]);
  assert.equal((await build(source, { target: "x", images: { b: {} } })).told, [
    "StageNameCasing 1",
    "LegacyKeyValueFormat 4",
  ]);
});

Checks("what the base image sets is known", async () => {
  const source = 'FROM a\nCOPY $VERSION /\nCOPY $VERSOIN /\nSHELL ["/x"]\n';
  const images = { a: { config: { Env: ["VERSION=1"] } } };
  assert.equal((await build(source, { images })).told, ["UndefinedVar 3"]);
  assert.equal((await build(source, { images: { a: {} } })).told, ["UndefinedVar 2", "UndefinedVar 3"]);
});

Checks("an image that cannot be had is the build's to tell", async () => {
  assert.equal((await build("FROM a\nENV a b\nCOPY $VERSION /\n")).told, ["LegacyKeyValueFormat 2"]);
});

Checks("a base image for another platform is told, once it is known", async () => {
  const images = { a: { architecture: "arm64", variant: "v8" } };
  assert.equal((await build("FROM a\nFROM a AS b\n", { images })).told, ["InvalidBaseImagePlatform 2"]);
  assert.equal((await build("FROM --platform=$BUILDPLATFORM a AS b\n", { images: { a: {} } })).told, []);
  assert.equal((await build("FROM --platform=linux/arm64 a AS arm64\n", { images })).told, []);
  assert.equal((await build("\n# check=skip=InvalidBaseImagePlatform\nFROM a\n", { images })).told, []);
  // One that the caller gave is as the caller wants it.
  assert.equal((await build("FROM a\n", { images, contexts: { a: "docker-image://x" } })).told, []);
});

Checks("with error=true findings fail the build", async () => {
  const { failure } = await build("# check=error=true\nFROM a\nCOPY $VERSOIN /\n", { images: { a: {} } });
  assert.is(failure?.code, "build.checks");
  assert.is(failure?.exitStatus, 1);
  assert.is(failure?.location?.line, 3);
  assert.is((await build("FROM a\nCOPY $VERSOIN /\n", { images: { a: {} } })).failure, undefined);
  const args = { BUILDKIT_DOCKERFILE_CHECK: "error=true;skip=UndefinedVar" };
  assert.is((await build("FROM a\nCOPY $VERSOIN /\n", { images: { a: {} }, args })).failure, undefined);
});

Checks.run();
