import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { writeBase } from "../conformance/base.ts";
import { KBUILD, run } from "../support/command.ts";
import { plant, workspace } from "../support/workspace.ts";

const Descriptors = suite("what the caller of kbuild has open");
const folder = workspace("kbuild-descriptors");
const base = path.join(folder, "busybox");
await writeBase(base);
fs.writeFileSync(path.join(folder, "open"), "not for steps");
const context = plant(path.join(folder, "context"), {
  Dockerfile:
    "FROM busybox\nRUN (cat <&200) 2>/dev/null; (cat /proc/self/fd/201/etc/passwd) 2>/dev/null; (: <&201) 2>/dev/null && echo open; true\n",
});

for (const isolation of ["userns", "single", "chroot"]) {
  Descriptors(`is open in no step: ${isolation}`, async () => {
    // Node closes the first few by itself, up to the first gap; others go on to what it starts.
    const outcome = await run(
      "bash",
      [
        "-c",
        'exec 200<"$0" 201</; exec "$@"',
        path.join(folder, "open"),
        process.execPath,
        KBUILD,
        "--progress=plain",
        `--isolation=${isolation}`,
        `--build-context=busybox=oci-layout://${base}`,
        context,
      ],
      { env: { KBUILD_ROOT: path.join(folder, `store-${isolation}`) } },
    );
    assert.is(outcome.status, 0, outcome.stderr);
    assert.not.match(outcome.stderr, /not for steps|root:|^#\d+ \d+\.\d+ open$/m);
    assert.match(outcome.stderr, /RUN/);
  });
}

Descriptors.run();
