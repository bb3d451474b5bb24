// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is what Dockerfiles are written in
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KbuildError } from "../../src/errors.ts";
import { environmentOf, SCRATCH_CONFIG } from "../../src/executor/state.ts";
import { applyConfig, type ConfigInstruction, commandWords } from "../../src/executor/steps/config.ts";
import type { ContainerConfig } from "../../src/oci/types.ts";
import { parseDockerfile } from "../../src/parser/parser.ts";
import { expandWord, expandWords } from "../../src/parser/words.ts";
import { readCases } from "../conformance/harness.ts";

const OTHERS = ["FROM", "ARG", "COPY", "ADD", "RUN", "WORKDIR", "ONBUILD"];

/** What instructions make of a configuration, and their lines in the history. */
function applied(lines: string, start: ContainerConfig = SCRATCH_CONFIG) {
  const [stage] = parseDockerfile(`FROM scratch\n${lines}`, "Dockerfile").stages;
  let config = start;
  let author: string | undefined;
  let hasOwnCommand = false;
  const history: string[] = [];
  for (const instruction of stage?.instructions ?? []) {
    if (OTHERS.includes(instruction.kind)) throw new TypeError(`${instruction.kind} does more than configure`);
    const environment = environmentOf(config);
    const change = applyConfig(
      instruction as ConfigInstruction,
      config,
      { hasOwnCommand },
      (word) => expandWord(word.text, (name) => environment.get(name), "\\"),
      (word) => expandWords(word.text, (name) => environment.get(name), "\\"),
    );
    hasOwnCommand ||= instruction.kind === "CMD";
    author = change.author ?? author;
    config = change.config;
    history.push(change.text);
  }
  return { config, author, history };
}

const Conformance = suite("configurations as BuildKit makes them");

/** Sets are lists of their keys in the cases. */
function comparable({ ExposedPorts, Volumes, Env, ...rest }: ContainerConfig): Record<string, unknown> {
  return {
    ...rest,
    Env: [...(Env ?? [])].sort(),
    ...(ExposedPorts === undefined ? {} : { ExposedPorts: Object.keys(ExposedPorts).sort() }),
    ...(Volumes === undefined ? {} : { Volumes: Object.keys(Volumes).sort() }),
  };
}

let tried = 0;
for (const spec of readCases()) {
  const { name, dockerfile, result, options } = spec;
  const lines = dockerfile.split("\n").slice(1).join("\n");
  const isPlain =
    dockerfile.startsWith("FROM scratch\n") && !new RegExp(`^\\s*(${OTHERS.join("|")})\\b`, "im").test(lines);
  if (!/^(config|words|arg)\//.test(name) || !isPlain || Object.keys(options).length > 0) continue;
  tried += 1;
  Conformance(name, () => {
    if (!result.ok) {
      assert.throws(
        () => applied(lines),
        (error: unknown) => error instanceof KbuildError && error.exitStatus === 1,
      );
      return;
    }
    const { architecture, os, author, ...expected } = result.config;
    const made = applied(lines);
    assert.equal(comparable(made.config), { ...expected, Env: [...((expected.Env as string[]) ?? [])].sort() });
    assert.is(made.author, author);
    assert.is(made.history.length, result.history);
  });
}
Conformance("cases are tried at all", () => {
  assert.ok(tried >= 60, `only ${tried}`);
});
Conformance.run();

const Lines = suite("lines of the history");

for (const [line, expected] of [
  ["ENV a=1 b='2 3'", "ENV a=1 b=2 3"],
  ['LABEL "a b"="c\'d" x=', "LABEL a b=c'd x="],
  ["CMD echo \"x\" 'é'", 'CMD ["/bin/sh" "-c" "echo \\"x\\" \'é\'"]'],
  ['CMD ["a", "\\u001b\\u007f\\u2028", "\\b"]', 'CMD ["a" "\\x1b\\x7f\\u2028" "\\b"]'],
  ["CMD []", "CMD []"],
  ["CMD", 'CMD ["/bin/sh" "-c" ""]'],
  ['ENTRYPOINT ["e", "\\\\"]', 'ENTRYPOINT ["e" "\\\\"]'],
  ['SHELL ["/bin/x", "-c"]', "SHELL [/bin/x -c]"],
  ["USER 5:6", "USER 5:6"],
  ["STOPSIGNAL SIGKILL", "STOPSIGNAL SIGKILL"],
  ["EXPOSE 80 443/tcp 53/UDP", "EXPOSE [443/tcp 53/udp 80/tcp]"],
  ["EXPOSE 80 80/tcp 80/", "EXPOSE [80/tcp]"],
  ["EXPOSE 1-9:80 8:81 [::1]:8:82 127.0.0.1::83 90-91:92-93", "EXPOSE [80/tcp 81/tcp 82/tcp 83/tcp 92/tcp 93/tcp]"],
  ['VOLUME ["/c d", "/e"]', "VOLUME [/c d /e]"],
  ["MAINTAINER a <b@c>", "MAINTAINER a <b@c>"],
  ["HEALTHCHECK NONE", `HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" '\\x00'}`],
  [
    "HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --start-interval=500ms --retries=4 CMD curl x || exit 1",
    `HEALTHCHECK &{["CMD-SHELL" "curl x || exit 1"] "5m0s" "3s" "1m30s" "500ms" '\\x04'}`,
  ],
  ["HEALTHCHECK --retries=10 CMD a", `HEALTHCHECK &{["CMD-SHELL" "a"] "0s" "0s" "0s" "0s" '\\n'}`],
  ['HEALTHCHECK --retries=65 CMD ["a"]', `HEALTHCHECK &{["CMD" "a"] "0s" "0s" "0s" "0s" 'A'}`],
] as const) {
  Lines(line, () => {
    assert.equal(applied(line).history, [expected]);
  });
}

Lines.run();

const Config = suite("instructions that configure");

Config("a variable keeps its place when it is set again", () => {
  const { config } = applied("ENV a=1 b=2\nENV a=3\nENV PATH=/bin:$PATH");
  assert.equal(config.Env, ["PATH=/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "a=3", "b=2"]);
  assert.equal(applied("ENV a=2", { Env: ["a", "ab=1"] }).config.Env, ["a=2", "ab=1"]);
});

Config("all pairs of one ENV see the values from before it", () => {
  assert.equal(applied("ENV a=1\nENV a=2 b=$a").config.Env?.slice(1), ["a=2", "b=1"]);
});

Config("names that JavaScript knows are names like others", () => {
  const { config } = applied("LABEL __proto__=a constructor=b\nVOLUME __proto__ /toString\nENV __proto__=x\nEXPOSE 1");
  assert.equal(Object.entries(config.Labels ?? {}), [
    ["__proto__", "a"],
    ["constructor", "b"],
  ]);
  assert.equal(Object.keys(config.Volumes ?? {}), ["__proto__", "/toString"]);
  assert.is(environmentOf(config).get("__proto__"), "x");
});

Config("an entry point takes an inherited command away, and not the stage's own", () => {
  const start = { Cmd: ["inherited"] };
  assert.is(applied("ENTRYPOINT e", start).config.Cmd, undefined);
  assert.equal(applied("CMD x\nENTRYPOINT e", start).config.Cmd, ["/bin/sh", "-c", "x"]);
  assert.equal(applied("ENTRYPOINT e\nCMD x", start).config.Cmd, ["/bin/sh", "-c", "x"]);
});

Config("a command forgets that it was escaped for Windows", () => {
  assert.equal(Object.keys(applied("CMD x", { ArgsEscaped: true }).config), ["Cmd"]);
});

Config("shell forms run with the shell of the stage", () => {
  const [stage] = parseDockerfile('FROM a\nCMD x y\nENTRYPOINT ["z"]', "Dockerfile").stages;
  const words = (config: ContainerConfig) =>
    (stage?.instructions ?? []).map((instruction) =>
      "command" in instruction ? commandWords(instruction.command, config) : [],
    );
  assert.equal(words({}), [["/bin/sh", "-c", "x y"], ["z"]]);
  assert.equal(words({ Shell: ["/bin/bash", "-ec"] }), [["/bin/bash", "-ec", "x y"], ["z"]]);
});

Config("what was there stays", () => {
  const start: ContainerConfig = {
    Labels: { a: "1" },
    ExposedPorts: { "1/tcp": {} },
    Volumes: { "/v": {} },
    User: "u",
  };
  const { config } = applied("LABEL b=2\nEXPOSE 2\nVOLUME /w", start);
  assert.equal(config, {
    User: "u",
    Labels: { a: "1", b: "2" },
    ExposedPorts: { "1/tcp": {}, "2/tcp": {} },
    Volumes: { "/v": {}, "/w": {} },
  });
  assert.equal(start.Labels, { a: "1" });
});

Config("all ports there are", () => {
  const { config } = applied("EXPOSE 0-65535 0-65535/udp");
  assert.is(Object.keys(config.ExposedPorts ?? {}).length, 131_072);
  assert.equal(config.ExposedPorts?.["65535/udp"], {});
});

Config("variables may bring several ports", () => {
  const { config } = applied('ENV P="80 81-82/udp" Q=9:7\nEXPOSE $P $Q');
  assert.equal(Object.keys(config.ExposedPorts ?? {}), ["80/tcp", "81/udp", "82/udp", "7/tcp"]);
});

Config("a message does not repeat what is long", () => {
  const long = "9".repeat(10_000);
  for (const line of [`STOPSIGNAL ${long}`, `EXPOSE ${long}`, `EXPOSE 1/${long}`, `EXPOSE ${long}:1:1`]) {
    assert.throws(
      () => applied(line),
      (error: unknown) => error instanceof KbuildError && error.message.length < 300,
    );
  }
});

for (const [line, code] of [
  ["EXPOSE abc", "build.port"],
  ["EXPOSE 65536", "build.port"],
  ["EXPOSE 8002-8000", "build.port"],
  ["EXPOSE 1-99999999999999999999", "build.port"],
  ["EXPOSE 80/icmp", "build.port"],
  ["EXPOSE 80-82:80-81", "build.port"],
  ["EXPOSE x:80", "build.port"],
  ["EXPOSE 1.2.3:80:80", "build.port"],
  ["EXPOSE [::1:80:80", "build.port"],
  ["EXPOSE -1", "build.port"],
  ["EXPOSE 1-2-3", "build.port"],
  ["EXPOSE 0x50", "build.port"],
  ["STOPSIGNAL NOPE", "build.signal"],
  ["STOPSIGNAL 0", "build.signal"],
  ["STOPSIGNAL 65", "build.signal"],
  ["STOPSIGNAL -9", "build.signal"],
  ["STOPSIGNAL SIGRTMIN+16", "build.signal"],
  ["ENV $nothing=1", "build.blankName"],
  ['VOLUME ["$nothing"]', "build.blankName"],
] as const) {
  Config(`${line}: ${code}`, () => {
    assert.throws(
      () => applied(line),
      (error: unknown) => error instanceof KbuildError && error.code === code && error.location !== undefined,
    );
  });
}

for (const signal of ["9", "64", "KILL", "sigterm", "SIGRTMIN", "SIGRTMIN+15", "RTMAX-14", "WINCH"]) {
  Config(`STOPSIGNAL ${signal}`, () => {
    assert.is(applied(`STOPSIGNAL ${signal}`).config.StopSignal, signal);
  });
}

Config.run();
