// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../../src/errors.ts";
import { stageBase, stageFacts } from "../../../src/executor/checks/facts.ts";
import { refuseStages } from "../../../src/executor/checks/refusals.ts";
import { readInputs } from "../../../src/executor/inputs.ts";
import { planBuild } from "../../../src/executor/plan.ts";
import type { ImageConfig } from "../../../src/oci/types.ts";
import { parseDockerfile } from "../../../src/parser/parser.ts";

/** The code and the line of what is refused; undefined when nothing is. The image `known` is on this machine. */
function refused(source: string, contexts: Readonly<Record<string, string>> = {}): string | undefined {
  const inputs = readInputs({ context: ".", platform: "linux/amd64", buildContexts: contexts, env: {} });
  const [targetPlatform = inputs.buildPlatform] = inputs.targetPlatforms;
  const contextNames = new Set(inputs.buildContexts.keys());
  const config: ImageConfig = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } };
  try {
    const dockerfile = parseDockerfile(source, "Dockerfile");
    const plan = planBuild(dockerfile, { ...inputs, target: undefined, targetPlatform, contextNames });
    const bases = plan.stages.map((stage) =>
      stageBase(stage, stage.origin.kind === "image" && stage.origin.name === "known" ? config : undefined),
    );
    refuseStages(plan, stageFacts(plan, inputs, [], new Set(plan.stages.keys()), bases), contextNames);
    return undefined;
  } catch (error) {
    if (!(error instanceof KbuildError)) throw error;
    return `${error.code}:${error.location?.line}`;
  }
}

const Refused = suite("what a check says a build would refuse");

for (const [name, source, expected] of [
  ["a base image whose tag is blank", "ARG TAG\nFROM known:$TAG\n", "build.reference:2"],
  ["a base image of a stage that is not needed", "FROM No_Name!\nFROM known\n", "build.reference:1"],
  ["an image that files are taken from", "FROM known\nCOPY --from=a:b:c /x /y\n", "build.reference:2"],
  ["a variable in --from", "FROM known\nARG S=a\nCOPY --from=$S /x /y\n", "build.fromVariable:3"],
  [
    "a variable in --from of a stage that is not needed",
    "FROM a\nCOPY --from=$S /x /y\nFROM b\n",
    "build.fromVariable:2",
  ],
  ["a quote that is not closed", "FROM known\nUSER a\nLABEL a=\"it's\" b='c\\'d'\n", "build.expand:3"],
  ["a variable that has to have a value", "FROM known\nWORKDIR ${PLACE:?where}\n", "build.expand:2"],
  ["a default that cannot be expanded", "FROM known\nARG PLACE=${OTHER:?which}\n", "build.expand:2"],
  ["a port that is none", "FROM known\nENV PORT=http\nEXPOSE $PORT\n", "build.port:3"],
  ["a volume that is blank", "FROM known\nARG DATA\nVOLUME $DATA\n", "build.blankName:3"],
  ["a signal that there is not", "FROM known\nSTOPSIGNAL SIGNOPE\n", "build.signal:2"],
  ["an address that COPY cannot take", "FROM known\nCOPY https://example.com/a /a\n", "build.copyAddress:2"],
  ["a checksum of a file of the context", "FROM known\nADD --checksum=sha256:00 a /a\n", "build.checksum:2"],
  ["a checksum that is none", "FROM known\nADD --checksum=sha256:00 https://example.com/a /a\n", "build.checksum:2"],
  ["a mode that is none", "FROM known\nARG MODE=64a\nCOPY --chmod=$MODE a /a\n", "build.chmod:3"],
  ["a mount over everything", "FROM known\nRUN --mount=type=cache,target=/ x\n", "build.mount:2"],
  [
    "a mount whose value means nothing",
    "FROM known\nARG S=all\nRUN --mount=type=cache,target=/a,sharing=$S x\n",
    "build.mount:3",
  ],
  ["a heredoc that cannot be expanded", "FROM known\nCOPY <<X /x\n${A:?no}\nX\n", "build.expand:2"],
  ["what comes after a base that nobody knows", "FROM other\nENV PORT=http\nEXPOSE $PORT\n", "build.port:3"],
] as const) {
  Refused(name, () => assert.is(refused(source), expected));
}

const Accepted = suite("what a check does not refuse");

for (const [name, source] of [
  ["what a variable of an unknown base may mend", "FROM other\nEXPOSE $PORT\nWORKDIR ${PLACE:?where}\nVOLUME $DATA\n"],
  ["what a stage upon an unknown base has from there", "FROM other AS a\nFROM a\nEXPOSE $PORT\n"],
  ["a proxy that is not given", "FROM known\nENV P=$http_proxy\n"],
  ["flags of which nothing is left", "FROM known\nARG A\nCOPY --chmod=$A --chown=$A a /a\nADD --checksum=$A b /b\n"],
  [
    "a stage that files are taken from",
    "FROM known AS Build\nFROM known\nCOPY --from=build /x /y\nCOPY --from=0 /x /y\n",
  ],
  ["an image that files are taken from", "FROM known\nCOPY --from=docker.io/library/a:1 /x /y\n"],
  [
    "a mount that is relative to a working directory",
    "FROM known\nWORKDIR /a\nRUN --mount=target=. --mount=type=ssh x\n",
  ],
  ["what a RUN says to its shell", "FROM known\nRUN echo ${A:?no} 'it\n"],
] as const) {
  Accepted(name, () => assert.is(refused(source), undefined));
}

Accepted("the name of a context, whatever it is", () => {
  assert.is(refused("FROM known\nCOPY --from=a:b:c /x /y\n", { "a:b:c": "." }), undefined);
});

Refused.run();
Accepted.run();
