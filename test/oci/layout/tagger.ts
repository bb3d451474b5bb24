/** A process for `store.test.ts`: tags an image of a store many times, or holds a lock until it is killed. */
import { takeLock } from "../../../src/oci/layout/lock.ts";
import { openStore } from "../../../src/oci/layout/store.ts";
import { parseReference } from "../../../src/oci/reference.ts";

const [mode, root = "", ...rest] = process.argv.slice(2);
const store = openStore(root, { create: true });
switch (mode) {
  case "tag": {
    const [prefix = "", count = "0", digest = "", size = "0"] = rest;
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    for (let number = 0; number < Number(count); number++) {
      const reference = parseReference(`${prefix}:${number}`);
      await store.tag([reference], { mediaType, digest: digest as `sha256:${string}`, size: Number(size) });
    }
    break;
  }
  case "hold":
    await takeLock(store.lockPath(rest[0] ?? ""));
    process.stdout.write("held\n");
    setInterval(() => {}, 1000);
    break;
  case "open":
    process.stdout.write("opened\n");
    break;
  case "leave":
    (await import("node:fs")).writeFileSync(store.temporaryPath(".tar"), "half");
    process.kill(process.pid, "SIGKILL");
}
