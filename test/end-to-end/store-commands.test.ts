import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Diagnosis, StoreReport } from "../../src/api.ts";
import { writeBase } from "../conformance/base.ts";
import { available } from "../support/command.ts";
import { openSituations, type Situation, type Situations } from "../support/situations.ts";
import { plant, workspace } from "../support/workspace.ts";

const StoreCommands = suite("doctor, fsck and prune where builds run");
const folder = workspace("kbuild-store-commands");
const base = path.join(folder, "base");
const context = path.join(folder, "context");
let situations: Situations | undefined;

if (available("root", process.getuid?.() === 0)) {
  StoreCommands.before(async () => {
    await writeBase(base);
    // Its owner is not the user, so that who removes the unpacked files needs ids that he has not.
    plant(context, {
      Dockerfile: "FROM base\nCOPY --chown=33:33 --chmod=700 d /d/\nRUN test -e /d/f && exit 7\n",
      "d/f": "text",
    });
    situations = await openSituations(folder);
  });

  StoreCommands.after(async () => {
    await situations?.close();
  });

  StoreCommands("doctor tells the mode that builds run in, and of the better ones what would give them", async () => {
    await inEach(async (situation) => {
      const { sandbox, refusals } = JSON.parse((await situation.must(["doctor", "--json"])).stdout) as Diagnosis;
      assert.is(sandbox?.mode, situation.mode, situation.name);
      assert.is(sandbox?.strategy, situation.mode === "chroot" ? "copy" : "overlay", situation.name);
      const better = refusals.map(({ mode, remedy }) => `${mode}: ${remedy}`);
      if (situation.mode === "userns") assert.equal(better, []);
      if (situation.mode === "single")
        assert.match(better.join(), /^userns: usermod --add-subuids \d+-\d+ --add-subgids \d+-\d+ \S+$/);
      if (situation.mode === "chroot")
        assert.equal(better, ["userns: start the container with --security-opt seccomp=unconfined"]);
      const text = (await situation.must(["doctor"])).stdout;
      assert.match(text, new RegExp(`^RUN is run in the mode ${situation.mode}: `));
    });
  });

  StoreCommands("a mode that was asked for is given, or refused with the reason", async () => {
    await inEach(async (situation) => {
      const { status, stdout, stderr } = await situation.run(["doctor", "--isolation", "emulated", "--json"]);
      assert.is(status, 4, stderr);
      assert.equal(
        (JSON.parse(stdout) as Diagnosis).refusals.map(({ mode }) => mode),
        ["emulated"],
      );
      assert.is((await situation.run(["doctor", "--plan", "--isolation", situation.mode])).status, 0);
    });
  });

  StoreCommands(
    "a store in which steps ran is sound, and all but its images can be freed, whoever owns the files",
    async () => {
      await inEach(async (situation) => {
        const built = await situation.run(["--build-context", `base=oci-layout://${base}`, context]);
        assert.is(built.status, 1, built.stderr);
        assert.match(built.stderr, /\b7\b/, "the step ran");
        const report = JSON.parse((await situation.must(["fsck", "--json"])).stdout) as StoreReport;
        assert.equal(report.findings, [], situation.name);
        assert.ok(report.checked.blobs > 0);
        const layers = path.join(situation.root, "layers");
        const trees = fs
          .readdirSync(layers)
          .flatMap((name) => fs.readdirSync(path.join(layers, name)).filter((one) => one.startsWith("tree-")));
        assert.is(trees.length > 0, situation.mode !== "chroot", "layers are unpacked once where they can be stacked");
        const pruned = await situation.must(["prune", "-a", "-f"]);
        assert.match(pruned.stdout, /^Total reclaimed space: \d/);
        for (const name of ["layers", "tmp", "cache", "blobs/sha256"]) {
          const left = fs.readdirSync(path.join(situation.root, name), { recursive: true }) as string[];
          const files = left.filter((one) => !fs.lstatSync(path.join(situation.root, name, one)).isDirectory());
          assert.equal(files, [], `${situation.name}: ${name}`);
        }
      });
    },
  );

  StoreCommands.run();
}

async function inEach(action: (situation: Situation) => Promise<void>): Promise<void> {
  if (situations === undefined) throw new Error("there are no situations");
  for (const situation of situations.all) await action(situation);
}
