import { pipeline } from "node:stream/promises";
import * as tar from "tar-stream";
import { applyLayer, type ReadConfig, type ReadImage, type TreeEntry } from "../../support/image-reader.ts";

/** Reads what `docker save` printed of one image. */
export async function readDockerArchive(bytes: Uint8Array): Promise<Pick<ReadImage, "config" | "tree">> {
  const files = await filesOf(bytes);
  const json = (name: string): unknown => JSON.parse(fileOf(files, name).toString());
  const [image] = json("manifest.json") as { Config: string; Layers: string[] }[];
  if (image === undefined) throw new Error("docker save gave no image");
  const tree = new Map<string, TreeEntry>();
  for (const layer of image.Layers) await applyLayer(tree, fileOf(files, layer));
  return { config: json(image.Config) as ReadConfig, tree };
}

/** The files of a tar by their names; a link to a file of the archive is that file. */
async function filesOf(bytes: Uint8Array): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const links = new Map<string, string>();
  const extract = tar.extract();
  extract.on("entry", (header, stream, next) => {
    const parts: Buffer[] = [];
    stream.on("data", (part) => parts.push(part as Buffer));
    stream.on("end", () => {
      if (header.type === "file") files.set(header.name, Buffer.concat(parts));
      else if (header.linkname)
        links.set(header.name, new URL(header.linkname, `file:///${header.name}`).pathname.slice(1));
      next();
    });
  });
  await pipeline([bytes], extract);
  for (const [name, target] of links) files.set(name, fileOf(files, target));
  return files;
}

function fileOf(files: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const found = files.get(name);
  if (found === undefined) throw new Error(`the archive has no ${name}`);
  return found;
}
