import { readFileSync } from "node:fs";
import { command } from "./command.ts";
import { versionOptions } from "./options.ts";

/** Put in when the bundle is made; run from its sources, kbuild reads its package.json. */
declare const KBUILD_VERSION: string | undefined;

export function version(): string {
  if (typeof KBUILD_VERSION === "string") return KBUILD_VERSION;
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version;
}

export const versionCommand = command({
  name: "version",
  usage: "[OPTIONS]",
  about: "Shows the version of kbuild, of Node.js, and the platform.",
  options: versionOptions,
  operands: { min: 0, max: 0, what: "nothing" },
  run: async ({ values }, { stdout }) => {
    const architecture = process.arch === "x64" ? "amd64" : process.arch;
    const facts = { Version: version(), Node: process.version, Os: process.platform, Arch: architecture };
    if (values.format === undefined) {
      stdout.write(`kbuild version ${facts.Version}\nnode    ${facts.Node}\nos/arch ${facts.Os}/${facts.Arch}\n`);
      return;
    }
    const { formatter } = await import("./template.ts");
    stdout.write(`${formatter(values.format)(facts)}\n`);
  },
});
