import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../support/command.ts";
import { plant, workspace } from "../support/workspace.ts";

const StartUp = suite("what a build loads");
const folder = workspace();
const context = plant(path.join(folder, "context"), { Dockerfile: 'FROM scratch\nCOPY f /\nCMD ["/f"]\n', f: "f\n" });
const hook = path.join(folder, "hook.cjs");
const list = path.join(folder, "modules");
fs.writeFileSync(
  hook,
  `process.on("exit", () => require("fs").writeFileSync(${JSON.stringify(list)}, process.moduleLoadList.join("\\n")));\n`,
);

/** The modules of Node.js that the command line as it is shipped has loaded in the end. */
async function loaded(argv: readonly string[]): Promise<ReadonlySet<string>> {
  const cli = path.join(import.meta.dirname, "../../dist/kbuild.cjs");
  const done = await run(process.execPath, ["-r", hook, cli, ...argv], {
    env: { KBUILD_ROOT: path.join(folder, "store") },
  });
  assert.is(done.status, 0, done.stderr);
  const names = fs.readFileSync(list, "utf8").split("\n");
  return new Set(names.map((name) => name.replace(/^NativeModule /, "")));
}

StartUp("one in which all is cached loads no module that takes longer than its work", async () => {
  const heavy = ["zlib", "crypto", "child_process", "http", "https", "worker_threads"];
  const first = await loaded(["-q", "-t", "start", context]);
  // The list is one in which they would be found.
  assert.ok(first.has("child_process"));
  const second = await loaded(["-q", "-t", "start", context]);
  assert.equal(
    heavy.filter((name) => second.has(name)),
    [],
  );
});

StartUp.run();
