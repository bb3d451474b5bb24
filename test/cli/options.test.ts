import { suite } from "uvu";
import * as assert from "uvu/assert";
import { buildOptions } from "../../src/cli/build-options.ts";
import { buildRequest } from "../../src/cli/build-request.ts";
import { callOf } from "../../src/cli/call-option.ts";
import { readArguments } from "../../src/cli/option-table.ts";
import { historyOptions } from "../../src/cli/options.ts";
import { output } from "../../src/cli/output-option.ts";
import { KbuildError } from "../../src/errors.ts";
import { type FakeOptions, fakeShell } from "../support/fake-shell.ts";

const Options = suite("options");

async function errorOf(action: () => unknown): Promise<KbuildError> {
  try {
    await action();
  } catch (error) {
    assert.instance(error, KbuildError, String(error));
    return error as KbuildError;
  }
  throw new Error("there was no error");
}

const typed: readonly (readonly [argv: readonly string[], values: object, operands: readonly string[]])[] = [
  [["."], {}, ["."]],
  [["-t", "a", "."], { tag: ["a"] }, ["."]],
  [["-ta", "."], { tag: ["a"] }, ["."]],
  [["-t=a", "."], { tag: ["a"] }, ["."]],
  [["--tag=a", "--tag", "b", "."], { tag: ["a", "b"] }, ["."]],
  [[".", "-t", "a"], { tag: ["a"] }, ["."]],
  [["-qt", "a", "."], { quiet: true, tag: ["a"] }, ["."]],
  [["--pull", "."], { pull: true }, ["."]],
  [["--pull=true", "."], { pull: true }, ["."]],
  [["--pull=0", "."], { pull: false }, ["."]],
  [["--pull", "--pull=false", "."], { pull: false }, ["."]],
  [["--pull=false", "--pull", "."], { pull: true }, ["."]],
  [["-q=false", "."], { quiet: false }, ["."]],
  [
    ["--build-arg", "A=b=c", "--build-arg", "D", "."],
    {
      buildArg: [
        ["A", "b=c"],
        ["D", undefined],
      ],
    },
    ["."],
  ],
  [["--build-arg", "A=", "."], { buildArg: [["A", ""]] }, ["."]],
  [["--no-cache-filter", "a,b", "."], { noCacheFilter: [["a", "b"]] }, ["."]],
  [["--network=host", "."], { network: "host" }, ["."]],
  [["--provenance=false", "."], { provenance: "false" }, ["."]],
  [["-f", "-", "-"], { file: "-" }, ["-"]],
  [["--", "-t"], {}, ["-t"]],
  [["--progress", "plain", "."], { progress: "plain" }, ["."]],
  [["--call=outline", "."], { call: { method: "outline" } }, ["."]],
  [
    ["--call=lint,format=json,ignorestatus=1", "."],
    { call: { method: "check", format: "json", ignoreStatus: true } },
    ["."],
  ],
  [["--call", "format=json", "."], { call: { method: "build", format: "json" } }, ["."]],
  [["--check", "--format", "sarif", "."], { check: true, format: "sarif" }, ["."]],
];

for (const [argv, values, operands] of typed) {
  Options(`${argv.join(" ")} is read`, () => {
    const found = readArguments("build", buildOptions, argv);
    assert.equal(found.values, values);
    assert.equal(found.operands, operands);
  });
}

Options("switches take values in their short form too", () => {
  assert.equal(readArguments("history", historyOptions, ["-H=false", "x"]).values, { human: false });
  assert.equal(readArguments("history", historyOptions, ["-H", "x"]).values, { human: true });
});

const refused: readonly (readonly [argv: readonly string[], message: RegExp, hint?: RegExp])[] = [
  [["--tga", "a"], /--tga is not an option of kbuild build/, /did you mean --tag\?/],
  [["--zzzzzz"], /--zzzzzz is not an option/, /--help lists them/],
  [["--build-arg"], /--build-arg needs a value: --build-arg NAME/],
  [["--build-arg", "=x"], /the name before the = is missing/],
  [["--pull=maybe"], /neither true nor false/],
  [["--progress=plian"], /must be one of auto/, /did you mean plain\?/],
  [["--compression-level=x"], /must be a whole number/],
  [["--build-context", "a"], /must be NAME=SOURCE|must be NAME=VALUE/],
  [["-f", ""], /must not be empty/],
  [["--push"], /--push is not supported yet/],
  [["--call=chekc"], /must be one of build, check, outline, targets/, /did you mean check\?/],
  [["--call=check,format=xml"], /must be one of text, json, sarif/],
  [["--call=check,outline"], /must be KEY=VALUE/],
  [["--call=check,colour=no"], /there is no colour/, /format= and ignorestatus=/],
  [["--call=check,ignorestatus=x"], /neither true nor false/],
  [["--format=yaml"], /must be one of text, json, sarif/],
  [["--network=bridge"], /must be one of default, host, none/],
  [["--security-opt", "seccomp=unconfined"], /--security-opt=seccomp=unconfined is not supported/, /--allow/],
  [["--no-cache-filter", "a,,b"], /a name is empty/],
];

for (const [argv, message, hint] of refused) {
  Options(`${argv.join(" ")} is refused`, async () => {
    const error = await errorOf(() => readArguments("build", buildOptions, argv));
    assert.is(error.exitStatus, 2);
    assert.match(error.message, message);
    if (hint) assert.match(error.hint ?? "", hint);
  });
}

for (const [typed, expected] of [
  [{}, { method: "build", format: "text", ignoreStatus: false }],
  [{ check: true }, { method: "check", format: "text", ignoreStatus: false }],
  [{ check: false }, { method: "build", format: "text", ignoreStatus: false }],
  [
    { check: true, call: { method: "check", format: "json" } },
    { method: "check", format: "json", ignoreStatus: false },
  ],
  [
    { call: { method: "targets", format: "text" }, format: "json" },
    { method: "targets", format: "json", ignoreStatus: false },
  ],
  [
    { check: true, format: "sarif" },
    { method: "check", format: "sarif", ignoreStatus: false },
  ],
  [{ check: true, call: { method: "outline" } }, /--check and --call=outline cannot both be done/],
  [{ format: "json" }, /a build has no format/],
  [{ call: { method: "build", format: "json" } }, /a build has no format/],
  [{ call: { method: "outline" }, format: "sarif" }, /outline cannot be told as SARIF/],
] as const) {
  Options(`--call, --check and --format together: ${JSON.stringify(typed)}`, async () => {
    if (expected instanceof RegExp) assert.match((await errorOf(() => callOf(typed))).message, expected);
    else assert.equal(callOf(typed), expected);
  });
}

Options("what is accepted and changes nothing is told", () => {
  const { notes } = readArguments("build", buildOptions, ["--rm", "--rm", "--builder", "x", "."]);
  assert.is(notes.length, 2);
  assert.match(notes.join("\n"), /^--rm: .*\n--builder: /);
});

// docker build of 20.10 to 28 and docker buildx build of 0.24, without those for remote contexts.
const DOCKER =
  "add-host allow annotation attest build-arg build-context builder cache-from cache-to call cgroup-parent check " +
  "compress cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems debug detach disable-content-trust file force-rm " +
  "iidfile invoke isolation label load memory memory-swap metadata-file network no-cache no-cache-filter output platform " +
  "policy print progress provenance pull push quiet resource rm root sbom secret security-opt shm-size squash ssh stream tag target ulimit";

Options("every option of docker build is there, or refused by its name", () => {
  const known = new Set(Object.values(buildOptions).flatMap(({ names }) => names.split(", ")));
  for (const name of DOCKER.split(" ")) assert.ok(known.has(`--${name}`), name);
  for (const short of ["-t", "-f", "-q", "-o", "-m", "-c", "-D"]) assert.ok(known.has(short), short);
});

Options("no two options share a name", () => {
  const names = Object.values(buildOptions).flatMap(({ names }) => names.split(", "));
  assert.is(new Set(names).size, names.length);
});

const outputs: readonly (readonly [text: string, value: object])[] = [
  ["out", { type: "local", dest: "out" }],
  ["./a=b", { type: "local", dest: "./a=b" }],
  ["-", { type: "tar", dest: "-" }],
  ["type=image", { type: "image" }],
  ["type=image,name=a:b,push=false", { type: "image", name: "a:b" }],
  ["type=docker", { type: "docker", dest: "-" }],
  ["type=docker,dest=x.tar", { type: "docker", dest: "x.tar" }],
  ["type=oci,dest=d,tar=false", { type: "oci", dest: "d", tar: false }],
  [
    "type=oci,dest=x,compression=zstd,compression-level=3",
    { type: "oci", dest: "x", compression: "zstd", compressionLevel: 3 },
  ],
  ['type=docker,"dest=a,b.tar"', { type: "docker", dest: "a,b.tar" }],
  ["type=tar,dest=x", { type: "tar", dest: "x" }],
  ["type=local,dest=x", { type: "local", dest: "x" }],
];

for (const [text, value] of outputs) {
  Options(`-o ${text} is read`, () => {
    assert.equal(output(text, "--output"), value);
  });
}

for (const [text, reason] of [
  ["", /--output ""/],
  ["type=dockre,dest=x", /must be one of/],
  ["type=docker,dset=x", /has no dset/],
  ["type=docker,dest=", /dest is empty/],
  ["type=docker,tar=false,dest=x", /always a tar/],
  ["type=oci,tar=false", /needs a folder/],
  ["type=local", /needs a folder/],
  ["type=local,dest=-", /needs a folder/],
  ["type=registry", /not supported yet/],
  ["type=image,push=true", /push=true is not supported yet/],
  ['type=docker,"dest=a', /quote is not closed/],
  ["type=docker,dest=a,compression=bzip2", /must be one of/],
] as const) {
  Options(`-o ${text} is refused`, async () => {
    const error = await errorOf(() => output(text, "--output"));
    assert.match(error.message, reason);
    assert.is(error.exitStatus, 2);
  });
}

async function requested(argv: readonly string[], options: FakeOptions = {}): ReturnType<typeof buildRequest> {
  const { values, operands } = readArguments("build", buildOptions, argv);
  return buildRequest(values, operands, fakeShell(options));
}

Options("the style of progress is chosen by option, environment and terminal", async () => {
  const terminal = { columns: 80 };
  for (const [argv, options, style] of [
    [["."], {}, "plain"],
    [["."], { terminal }, "tty"],
    [["."], { terminal, env: { TERM: "dumb" } }, "plain"],
    [["."], { terminal, env: { BUILDKIT_PROGRESS: "plain" } }, "plain"],
    [["--progress=json", "."], { terminal, env: { BUILDKIT_PROGRESS: "plain" } }, "json"],
    [["--progress=auto", "."], { terminal }, "tty"],
    [["-q", "--progress=json", "."], { terminal }, "quiet"],
  ] as const) {
    assert.is((await requested(argv, options)).style, style, argv.join(" "));
  }
});

Options("a Dockerfile may come from standard input, but not with the context", async () => {
  const { options } = await requested(["-f", "-", "."], { stdin: "FROM scratch\n" });
  assert.is(options.dockerfile, "FROM scratch\n");
  assert.is((await errorOf(() => requested(["-f", "-", "-"]))).code, "usage.stdin");
});

for (const [argv, code] of [
  [[], "usage.context"],
  [["a", "b"], "usage.operands"],
  [["--compression", "zstd", "."], "usage.option"],
  [["-o", "-", "-o", "type=docker", "."], "usage.option"],
] as const) {
  Options(`a build with ${argv.join(" ") || "nothing"} is refused`, async () => {
    const error = await errorOf(() => requested(argv));
    assert.is(error.code, code);
    assert.is(error.exitStatus, 2);
  });
}

Options("an archive is not written to a terminal", async () => {
  const error = await errorOf(() => requested(["-o", "-", "."], { terminal: { columns: 80 } }));
  assert.is(error.code, "usage.terminal");
});

Options("--compression is for all archives, and an output's own goes before it", async () => {
  const argv = ["--compression=zstd", "-o", "type=docker,dest=a", "-o", "type=oci,dest=b,compression=gzip", "."];
  const { options } = await requested(argv);
  assert.equal(options.outputs, [
    { type: "docker", dest: "a", compression: "zstd" },
    { type: "oci", dest: "b", compression: "gzip" },
  ]);
});

Options.run();
