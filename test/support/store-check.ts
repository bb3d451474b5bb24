import * as fs from "node:fs";
import * as path from "node:path";
import { type BlobReference, readBlob, readImage } from "./image-reader.ts";

/**
 * Everything that is wrong with a store, as lines: files left in `tmp`, blobs whose bytes are not those of their
 * digest, names whose image is not whole. An absent store is sound.
 */
export async function unsound(root: string): Promise<string[]> {
  if (!fs.existsSync(root)) return [];
  const found: string[] = [];
  const temporary = path.join(root, "tmp");
  if (fs.existsSync(temporary)) for (const name of fs.readdirSync(temporary)) found.push(`left behind: tmp/${name}`);
  const blobs = path.join(root, "blobs", "sha256");
  if (fs.existsSync(blobs)) {
    for (const name of fs.readdirSync(blobs)) {
      if (!/^[0-9a-f]{64}$/.test(name)) found.push(`not a blob: blobs/sha256/${name}`);
      else attempt(found, `blob ${name}`, () => readBlob(root, `sha256:${name}`));
    }
  }
  const index = path.join(root, "index.json");
  if (!fs.existsSync(index)) return found;
  const { manifests } = JSON.parse(fs.readFileSync(index, "utf8")) as { manifests: BlobReference[] };
  for (const entry of manifests) {
    try {
      const content = JSON.parse(readBlob(root, entry.digest).toString()) as { manifests?: BlobReference[] };
      // What is listed in a base's index need not all be there: only one platform is pulled.
      if (!content.manifests) await readImage(root, entry.digest);
    } catch (error) {
      found.push(`image ${entry.digest}: ${(error as Error).message}`);
    }
  }
  return found;
}

function attempt(found: string[], what: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    found.push(`${what}: ${(error as Error).message}`);
  }
}
