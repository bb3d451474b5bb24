import { execFileSync } from "node:child_process";
import * as path from "node:path";

/** An image that is not what the build should have made. */
export class WrongImage extends Error {}

const LARGEST_LISTING = 64 << 20;

/**
 * Reads the archive that a build left: its manifest, its config, whether every layer is there. Returns the diff IDs.
 * @throws WrongImage
 */
export function readArchive(file: string): { readonly layers: readonly string[]; readonly diffIds: readonly string[] } {
  const names = new Set(tar(["-tf", file]).split("\n"));
  if (!names.has("manifest.json")) throw new WrongImage(`${file} has no manifest.json`);
  const [image] = JSON.parse(member(file, "manifest.json")) as readonly { Config: string; Layers: readonly string[] }[];
  if (!image) throw new WrongImage(`${file} has no image`);
  for (const layer of image.Layers) if (!names.has(layer)) throw new WrongImage(`${file} lacks its layer ${layer}`);
  const config = JSON.parse(member(file, image.Config)) as { rootfs?: { diff_ids?: readonly string[] } };
  const diffIds = config.rootfs?.diff_ids ?? [];
  if (diffIds.length !== image.Layers.length) {
    throw new WrongImage(`${file} has ${image.Layers.length} layers and ${diffIds.length} diff IDs`);
  }
  return { layers: image.Layers, diffIds };
}

/** Whether a path is in one of the layers, looked for from the topmost down. `scratch` is a folder to unpack one to. */
export function archiveHas(file: string, layers: readonly string[], wanted: string, scratch: string): boolean {
  const unpacked = path.join(scratch, "layer");
  return [...layers].reverse().some((layer) => {
    execFileSync("sh", ["-c", 'tar -xOf "$1" "$2" >"$3"', "sh", file, layer, unpacked], { stdio: "pipe" });
    return tar(["-tf", unpacked])
      .split("\n")
      .some((name) => name.replace(/^(?:\.?\/)+/, "") === wanted);
  });
}

/** The layers must be more than the base's, and new or the same as before, as the case says. @throws WrongImage */
export function checkLayers(
  now: readonly string[],
  before: readonly string[] | undefined,
  { baseLayers, mayEqual }: { readonly baseLayers: number; readonly mayEqual: "must" | "must not" | "may" },
): void {
  if (now.length <= baseLayers)
    throw new WrongImage(`the image has ${now.length} layers, its base alone ${baseLayers}`);
  const isSame = before !== undefined && before.join() === now.join();
  if (mayEqual === "must" && before !== undefined && !isSame)
    throw new WrongImage("nothing changed, but the image did");
  if (mayEqual === "must not" && isSame) throw new WrongImage("a file changed, but the image did not");
}

function member(file: string, name: string): string {
  return tar(["-xOf", file, name]);
}

function tar(argv: readonly string[]): string {
  return execFileSync("tar", argv, { encoding: "utf8", maxBuffer: LARGEST_LISTING, stdio: ["ignore", "pipe", "pipe"] });
}
