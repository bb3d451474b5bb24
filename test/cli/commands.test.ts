import { suite } from "uvu";
import * as assert from "uvu/assert";
import { commands } from "../../src/cli/commands.ts";
import { widthOf } from "../../src/cli/render/text.ts";
import { version } from "../../src/cli/version.ts";
import { KbuildError } from "../../src/errors.ts";
import { runCommand } from "../support/fake-shell.ts";

const Commands = suite("commands and help");

/** What a command line comes to, without building: the engine throws what it was asked. */
async function told(
  ...argv: string[]
): Promise<{ status: number; stderr: string; stdout: string; built: string | undefined }> {
  let built: string | undefined;
  const outcome = await runCommand(argv, {
    engine: {
      build: ({ context }) => {
        built = String(context);
        throw new KbuildError("build.test", "this is as far as it goes");
      },
    },
  });
  return { ...outcome, built };
}

Commands("without a command it builds", async () => {
  for (const argv of [
    ["."],
    ["-t", "a", "."],
    ["build", "."],
    ["image", "build", "."],
    ["buildx", "build", "."],
    ["builder", "build", "."],
    ["-D", "build", "."],
    ["--debug", "."],
  ]) {
    assert.is((await told(...argv)).built, ".", argv.join(" "));
  }
  assert.is((await told("./push")).built, "./push", "a path is no command");
  assert.is((await told("web")).built, "web", "a word that is nothing else is a folder");
});

for (const [argv, says, hint] of [
  [["biuld", "."], /biuld is not a command/, /did you mean kbuild build\?/],
  [["imagse"], /imagse is not a command/, /did you mean kbuild images\?/],
  [["push", "x"], /kbuild push is not supported yet/, /kbuild \.\/push/],
  [["push", "x"], /kbuild push is not supported yet/, /kbuild \.\/push/],
  [["image", "lss"], /kbuild image lss is not there/, /did you mean kbuild image ls\?/],
  [["image", "prune"], /kbuild image prune is not there yet/, /there is kbuild image build/],
  [["help", "hsitory"], /hsitory is not a command/, /did you mean kbuild help history\?/],
  [["help", "qqqqqqqq"], /qqqqqqqq is not a command/, /kbuild help lists them/],
  [["history", "--no-trnuc", "x"], /--no-trnuc is not an option of kbuild history/, /did you mean --no-trunc\?/],
  [["version", "x"], /kbuild version does not take "x"/, /kbuild version/],
] as const) {
  Commands(`kbuild ${argv.join(" ")} is refused, with a hint`, async () => {
    const { status, stderr, stdout, built } = await told(...argv);
    assert.is(status, 2);
    assert.is(built, undefined);
    assert.match(stderr, says);
    assert.match(stderr, hint);
    assert.is(stdout, "");
  });
}

Commands("version says what this is", async () => {
  assert.is((await runCommand(["--version"])).stdout, `kbuild version ${version()}\n`);
  assert.match((await runCommand(["version"])).stdout, /^kbuild version \S+\nnode {4}v\d.*\nos\/arch \w+\/\w+\n$/);
  assert.is((await runCommand(["version", "-f", "{{.Version}}"])).stdout, `${version()}\n`);
  assert.match((await runCommand(["version", "-f", "json"])).stdout, /^\{"Version":"/);
});

Commands("help is the same by whatever way it is asked for", async () => {
  const overview = (await runCommand(["--help"])).stdout;
  for (const argv of [[], ["help"], ["-h"]]) assert.is((await runCommand(argv)).stdout, overview);
  const ls = (await runCommand(["image", "ls", "--help"])).stdout;
  for (const argv of [
    ["images", "-h"],
    ["help", "image", "ls"],
    ["image", "ls", "x", "--help"],
  ]) {
    assert.is((await runCommand(argv)).stdout, ls);
  }
  assert.is((await runCommand(["image"])).stdout, (await runCommand(["help", "image"])).stdout);
  assert.not.match((await runCommand(["rmi", "--", "--help", "--root", "/x"])).stdout, /Usage/);
});

Commands("the overview reads so", async () => {
  assert.is(
    (await runCommand(["help"], { terminal: { columns: 60 } })).stdout,
    `Usage: kbuild [OPTIONS] PATH | -
       kbuild COMMAND [OPTIONS] ...

Builds Dockerfiles into OCI images, without a daemon and
without root.

Commands:
  build      Build an image from a Dockerfile (the default:
             kbuild -t NAME . builds)
  check      Check a Dockerfile without building it
  bake       Build the targets of docker-bake.hcl,
             docker-bake.json or compose files
  image ls   List images
  history    Show how an image came about, newest first
  inspect    Show everything about images, as JSON
  save       Write images to an archive that docker load and
             others take
  tag        Give an image further names
  rmi        Remove images
  run        Run a command in the files of a step that
             failed (build --keep-failed)
  prune      Free the space of caches that nothing needs
  doctor     Say how RUN is run on this machine, and what
             would make it better
  fsck       Check that everything in the store is whole
  version    Show the version
  help       Explain a command

kbuild COMMAND --help explains a command and its options.
`,
  );
});

Commands("a command's help reads so", async () => {
  assert.is(
    (await runCommand(["history", "--help"], { terminal: { columns: 80 } })).stdout,
    `Usage: kbuild history [OPTIONS] IMAGE

Shows how an image came about: its instructions, newest first, and what each of
them added.

Also called: kbuild image history

Options:
      --format TEMPLATE   table, json, or a Go template; table TEMPLATE adds a
                          headline
  -H, --human             Sizes and times for people (default; --human=false for
                          exact ones)
      --no-trunc          Show IDs and texts in full
  -q, --quiet             Only image IDs
      --root DIR          The store (default $KBUILD_ROOT, else
                          $XDG_DATA_HOME/kbuild)
  -D, --debug             Show stack traces and the causes of errors

Not supported yet: --platform

Examples:
  kbuild history web-ping:v2
  kbuild history --no-trunc --format '{{.CreatedBy}}' web-ping:v2
`,
  );
});

Commands("build's help has its groups in order, and names what is not there yet", async () => {
  const { stdout } = await runCommand(["build", "--help"]);
  const groups = [...stdout.matchAll(/^(\w[\w ]*):$/gm)].map(([, name]) => name);
  assert.equal(groups, ["Image", "Input", "RUN", "Cache", "Output", "Check", "Progress", "Accepted", "Examples"]);
  assert.match(stdout, /^ {2}-t, --tag NAME\[:TAG\] +Name of the image; may be repeated$/m);
  assert.match(stdout, /^Not supported yet: --push,/m);
  assert.not.match(stdout, /^ +--push/m);
});

Commands("no line of any help is wider than the terminal, and none has codes", async () => {
  for (const { load } of commands) {
    const command = await load();
    for (const width of [40, 43, 59, 60, 79, 80, 100, 120]) {
      const text = await command.help(width);
      for (const line of text.split("\n")) {
        assert.ok(widthOf(line) <= width, `${line} in ${width}`);
        assert.is(line.trimEnd(), line);
      }
      assert.not(text.includes("\u001b"));
      assert.ok(text.endsWith("\n"));
    }
    assert.is(await command.help(10), await command.help(40), "below forty columns it stays as it is");
  }
});

Commands.run();
