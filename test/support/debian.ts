import * as fs from "node:fs";
import * as path from "node:path";
import { BASE_CONFIG, writeLayout } from "../conformance/base.ts";
import { must } from "./command.ts";
import { HOME, workspace } from "./workspace.ts";

const CACHE = path.join(HOME, "node_modules/.cache/kbuild");
/** To be raised when the root is to be made anew. */
const VERSION = 1;

/**
 * Debian's smallest root that has apt (`mmdebstrap --variant=minbase`, of the release that this machine has, with the machine's
 * sources), as an OCI layout. Made once, from the Debian registry, and kept for the next test. Gives the layout's folder.
 */
export async function debianLayout(): Promise<string> {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(fs.readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable";
  const layout = path.join(CACHE, `debian-${release}-${process.arch}-${VERSION}`);
  if (fs.existsSync(path.join(layout, "index.json"))) return layout;
  const work = workspace("kbuild-debian");
  const tar = path.join(work, "root.tar");
  const argv = ["--variant=minbase", "--mode=root", "--skip=check/empty", release, tar];
  await must("mmdebstrap", argv, { env: { SOURCE_DATE_EPOCH: "1600000000" }, timeout: 300_000 });
  fs.mkdirSync(CACHE, { recursive: true });
  const made = fs.mkdtempSync(`${layout}-`);
  writeLayout(made, [fs.readFileSync(tar)], BASE_CONFIG);
  fs.chmodSync(made, 0o755);
  try {
    fs.renameSync(made, layout);
  } catch (error) {
    // Another test was faster; its root is as good.
    fs.rmSync(made, { recursive: true, force: true });
    if (!fs.existsSync(path.join(layout, "index.json"))) throw error;
  }
  return layout;
}
