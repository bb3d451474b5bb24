import * as fs from "node:fs";
import * as path from "node:path";
import { BASE_CONFIG, baseMembers, type Member, tarOf, writeLayout } from "../conformance/base.ts";
import { librariesOf, withFolders } from "./situations.ts";

/** Where npm is, beside the node that runs this. */
function npmFolder(): string {
  const folder = path.join(path.dirname(fs.realpathSync(process.execPath)), "../lib/node_modules/npm");
  if (!fs.existsSync(folder)) throw new Error(`npm is not where this machine's node has it: ${folder}`);
  return fs.realpathSync(folder);
}

/** Writes an image with busybox, this machine's node and npm. Gives the folder of the OCI layout. */
export async function nodeLayout(dest: string): Promise<string> {
  const npm = npmFolder();
  const copy = (from: string, to: string, mode: number): Member => ({
    name: to,
    type: "file",
    mode,
    data: fs.readFileSync(from),
  });
  const members: Member[] = [
    copy(process.execPath, "usr/bin/node", 0o755),
    ...librariesOf(process.execPath).map((file) => copy(file, file.slice(1), 0o755)),
    { name: "usr/bin/env", type: "symlink", mode: 0o777, link: "/bin/busybox" },
    { name: "usr/bin/npm", type: "symlink", mode: 0o777, link: "/usr/lib/node_modules/npm/bin/npm-cli.js" },
  ];
  for (const entry of fs.readdirSync(npm, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath ?? entry.path, entry.name);
    if (!entry.isFile()) continue;
    const mode = (fs.statSync(file).mode & 0o111) === 0 ? 0o644 : 0o755;
    members.push(copy(file, path.join("usr/lib/node_modules/npm", path.relative(npm, file)), mode));
  }
  writeLayout(dest, [await tarOf(baseMembers()), await tarOf(withFolders(members))], BASE_CONFIG);
  return dest;
}
