import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand, runHistory } from "../../../src/executor/run/command.ts";
import { runOf } from "./support.ts";

const Command = suite("what RUN executes");

const sh = ["/bin/sh", "-c"];
for (const [text, argv, script] of [
  ["RUN echo $A  b", [...sh, "echo $A  b"]],
  ['RUN ["a", "$B c"]', ["a", "$B c"]],
  ["RUN <<EOF\necho a\ncd $B\nEOF", [...sh, "echo a\ncd $B\n"]],
  ["RUN <<-'EOF'\n\techo a\n\tEOF", [...sh, "echo a\n"]],
  ["RUN <<EOF\nEOF", [...sh, ""]],
  ["RUN <<EOF\n#!/bin/awk -f\nBEGIN {}\nEOF", [...sh, "/dev/pipes/EOF"], "#!/bin/awk -f\nBEGIN {}\n"],
  ["RUN <<-x.py\n\t#!/usr/bin/env python3\n\tx.py", [...sh, "/dev/pipes/x.py"], "#!/usr/bin/env python3\n"],
  ["RUN <<'a b/..'\n#!/bin/sh\na b/..", [...sh, "/dev/pipes/EOF"], "#!/bin/sh\n"],
  ["RUN <<..\n#!/bin/sh\n..", [...sh, "/dev/pipes/EOF"], "#!/bin/sh\n"],
  ["RUN python3 <<EOF\n#!x\nEOF", [...sh, "python3 <<EOF\n#!x\nEOF"]],
  ['RUN cat <<A 3<<"B" >/x\n1\nA\n$2\nB', [...sh, 'cat <<A 3<<"B" >/x\n1\nA\n$2\nB']],
  ["RUN cat <<-A\n\t1\n\tA", [...sh, "cat <<-A\n1\nA"]],
] as const) {
  Command(text.replace(/\n/g, "\\n"), () => {
    const command = runCommand(runOf(text), {});
    assert.equal(command.argv, argv);
    const last = argv.at(-1) ?? "";
    assert.equal(command.script, script === undefined ? undefined : { path: last, content: script, mode: 0o755 });
  });
}

Command("SHELL is what the shell form and heredocs run in, and nothing to the exec form", () => {
  const config = { Shell: ["/bin/bash", "-eo", "pipefail", "-c"] };
  assert.equal(runCommand(runOf("RUN a"), config).argv, [...config.Shell, "a"]);
  assert.equal(runCommand(runOf("RUN <<E\na\nE"), config).argv, [...config.Shell, "a\n"]);
  assert.equal(runCommand(runOf('RUN ["a"]'), config).argv, ["a"]);
  assert.equal(runCommand(runOf("RUN a"), { Shell: [] }).argv, [...sh, "a"]);
});

const History = suite("RUN in the history");

for (const [name, args, environment, expected] of [
  ["without arguments", [], [], "RUN /bin/sh -c echo hi"],
  [
    "with arguments, as they were declared",
    [
      ["b", "1"],
      ["a", "x y"],
    ],
    [],
    "RUN |2 b=1 a=x y /bin/sh -c echo hi",
  ],
  ["an argument without a value", [["a", undefined]], [], "RUN |1 a= /bin/sh -c echo hi"],
  ["an argument that a later ENV hides", [["a", undefined]], [["a", "env"]], "RUN |1 a=env /bin/sh -c echo hi"],
  ["variables are no arguments", [], [["a", "env"]], "RUN /bin/sh -c echo hi"],
] as const) {
  History(name, () => {
    const scope = { arguments: new Map<string, string | undefined>(args), environment: new Map(environment) };
    assert.is(runHistory(runCommand(runOf("RUN echo hi"), {}), scope), expected);
  });
}

Command.run();
History.run();
