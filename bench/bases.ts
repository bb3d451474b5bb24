import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import { pack as tarPack } from "tar-stream";
import { Material } from "./material.ts";

export type BaseName = "node" | "tiny" | "shell" | "seeded" | "large";

/** Any time will do, as long as it is always the same. */
export const EPOCH = 1_700_000_000;

const OCI = "application/vnd.oci.image";

/** The regular files of one layer by their paths; folders come by themselves. */
type LayerFiles = ReadonlyMap<string, LayerFile>;
interface LayerFile {
  readonly bytes: Buffer;
  readonly mode?: number;
  /** Where it leads, when it is a symbolic link. */
  readonly link?: string;
}

/**
 * Makes a base image as an OCI layout tagged `1`, unless it is there. `tiny` is the same everywhere; `node` has the shape
 * of a slim Node.js image (system, libraries, node, its modules, entry point) and the bytes of this machine's. `shell` has
 * busybox, to run something in; `seeded` has 4,000 small files beside it, `large` 20,000 files of 675 MB in three more layers.
 */
export async function makeBase(folder: string, name: BaseName): Promise<void> {
  if (fs.existsSync(path.join(folder, "index.json"))) return;
  const layers = LAYERS[name]();
  fs.rmSync(folder, { recursive: true, force: true });
  const blobs = path.join(folder, "blobs", "sha256");
  fs.mkdirSync(blobs, { recursive: true });

  const put = (mediaType: string, bytes: Buffer) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    fs.writeFileSync(path.join(blobs, digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  const diffIds: string[] = [];
  const descriptors: object[] = [];
  for (const layer of layers) {
    const tar = await tarOf(layer);
    diffIds.push(`sha256:${createHash("sha256").update(tar).digest("hex")}`);
    descriptors.push(put(`${OCI}.layer.v1.tar+gzip`, gzipSync(tar, { level: 6 })));
  }
  const created = new Date(EPOCH * 1000).toISOString();
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    created,
    config: { Env: ["PATH=/usr/bin:/bin"], Cmd: ["node"] },
    rootfs: { type: "layers", diff_ids: diffIds },
    history: diffIds.map((_, number) => ({ created, created_by: `layer ${number}` })),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: put(`${OCI}.config.v1+json`, Buffer.from(JSON.stringify(config))),
    layers: descriptors,
  };
  const top = put(`${OCI}.manifest.v1+json`, Buffer.from(JSON.stringify(manifest)));
  const entry = { ...top, annotations: { "org.opencontainers.image.ref.name": "1" } };
  fs.writeFileSync(path.join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  // Last: its presence says that all the rest is there.
  fs.writeFileSync(path.join(folder, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
}

/** The stored files of a base's layers, compressed as they are, in order. */
export function baseBlobFiles(folder: string): readonly string[] {
  const read = (file: string): unknown => JSON.parse(fs.readFileSync(path.join(folder, file), "utf8"));
  const file = (digest: string): string => path.join("blobs", digest.replace(":", "/"));
  const index = read("index.json") as { manifests: readonly { digest: string }[] };
  const manifest = read(file(index.manifests[0]?.digest ?? "")) as { layers: readonly { digest: string }[] };
  return manifest.layers.map(({ digest }) => path.join(folder, file(digest)));
}

const LAYERS: Readonly<Record<BaseName, () => readonly LayerFiles[]>> = {
  node: nodeLayers,
  tiny: () => [systemLayer()],
  shell: () => [shellLayer()],
  seeded: () => [shellLayer(), seedLayer()],
  large: () => [shellLayer(), ...largeLayers()],
};

const APPLETS = "cat echo ls mkdir rm sh sleep true".split(" ");

/** Debian's static busybox. */
export function busybox(): string {
  const file = (process.env.PATH ?? "")
    .split(":")
    .map((folder) => path.join(folder, "busybox"))
    .find(fs.existsSync);
  if (file === undefined) throw new Error("busybox is not installed (package busybox-static)");
  return file;
}

function shellLayer(): LayerFiles {
  return new Map<string, LayerFile>([
    ["bin/busybox", { bytes: fs.readFileSync(busybox()), mode: 0o755 }],
    ...APPLETS.map((name) => [`bin/${name}`, { bytes: Buffer.alloc(0), link: "busybox" }] as const),
    ["etc/passwd", { bytes: Buffer.from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n") }],
    ["etc/group", { bytes: Buffer.from("root:x:0:\nnogroup:x:65534:\n") }],
  ]);
}

/** 2,000 files to be deleted, and as many between them that stay. */
function seedLayer(): LayerFiles {
  const material = new Material("seed");
  const files = new Map<string, LayerFile>();
  for (let number = 0; number < 2000; number++) {
    for (const name of ["gone", "kept"]) {
      files.set(`seed/d${number % 100}/${name}${number}`, { bytes: Buffer.from(material.text(700)) });
    }
  }
  return files;
}

/** Three layers of 20,000 files, 675 MB, some of them libraries of 10 MB. */
function largeLayers(): readonly LayerFiles[] {
  const material = new Material("large");
  const shapes = [
    [8000, 9000],
    [6000, 20_000],
    [6000, 24_000],
  ] as const;
  return shapes.map(([count, mean], layer) => {
    const files = new Map<string, LayerFile>();
    for (let number = 0; number < count; number++) {
      const bytes = Buffer.from(material.mixed(material.size(Math.floor(mean * 0.43), 4 << 20)));
      files.set(`usr/share/l${layer}/d${number % 300}/f${number}`, { bytes });
    }
    for (let number = 0; number < 10; number++) {
      files.set(`usr/lib/l${layer}/lib${number}.so`, { bytes: Buffer.from(material.mixed(10 << 20)), mode: 0o755 });
    }
    return files;
  });
}

function systemLayer(): LayerFiles {
  const material = new Material("system");
  const files = new Map<string, LayerFile>([
    ["etc/passwd", { bytes: Buffer.from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n") }],
    ["etc/group", { bytes: Buffer.from("root:x:0:\nnogroup:x:65534:\n") }],
  ]);
  for (let number = 0; number < 40; number++) {
    files.set(`usr/bin/tool-${number}`, {
      bytes: Buffer.from(material.mixed(material.size(40_000, 1 << 20))),
      mode: 0o755,
    });
  }
  for (let number = 0; number < 200; number++) {
    files.set(`usr/share/doc/d${number % 40}/f${number}`, {
      bytes: Buffer.from(material.text(material.size(2000, 1 << 18))),
    });
  }
  return files;
}

function nodeLayers(): readonly LayerFiles[] {
  const node = fs.realpathSync(process.execPath);
  const libraries = execFileSync("ldd", [node], { encoding: "utf8" }).match(/\/[^ ]+/g) ?? [];
  const entry = { bytes: Buffer.from('#!/bin/sh\nset -e\nexec "$@"\n'), mode: 0o755 };
  return [
    systemLayer(),
    new Map(libraries.map((file) => [file.slice(1), { bytes: fs.readFileSync(file), mode: 0o755 }])),
    new Map([["usr/bin/node", { bytes: fs.readFileSync(node), mode: 0o755 }]]),
    moduleFiles(path.join(path.dirname(node), "../lib/node_modules")),
    new Map([["usr/bin/docker-entrypoint.sh", entry]]),
  ];
}

/** npm and what else comes with node; some text where that is not found. */
function moduleFiles(folder: string): LayerFiles {
  const files = new Map<string, LayerFile>();
  if (!fs.existsSync(folder)) {
    const material = new Material("modules");
    for (let number = 0; number < 2000; number++) {
      const bytes = Buffer.from(material.text(material.size(1800, 1 << 20)));
      files.set(`usr/lib/node_modules/m${number % 100}/f${number}.js`, { bytes });
    }
    return files;
  }
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const file = path.join(folder, name);
    if (fs.lstatSync(file).isFile())
      files.set(path.join("usr/lib/node_modules", name), { bytes: fs.readFileSync(file) });
  }
  return files;
}

async function tarOf(files: LayerFiles): Promise<Buffer> {
  const pack = tarPack();
  const mtime = new Date(EPOCH * 1000);
  const folders = new Set<string>();
  const addFolders = (name: string): void => {
    if (name === "." || folders.has(name)) return;
    addFolders(path.dirname(name));
    folders.add(name);
    pack.entry({ name: `${name}/`, type: "directory", mode: 0o755, mtime });
  };
  const parts: Buffer[] = [];
  const reading = (async () => {
    for await (const part of pack) parts.push(part as Buffer);
  })();
  for (const [name, { bytes, mode = 0o644, link }] of files) {
    addFolders(path.dirname(name));
    if (link === undefined) pack.entry({ name, mode, mtime }, bytes);
    else pack.entry({ name, type: "symlink", linkname: link, mode: 0o777, mtime });
  }
  pack.finalize();
  await reading;
  return Buffer.concat(parts);
}
