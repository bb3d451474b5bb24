import type { Spec } from "../../bake/attributes.ts";
import { suggest } from "../../parser/suggest.ts";
import type { CompressionName, OutputOptions } from "../options.ts";
import type { Fault } from "./build-options.ts";

/** The keys of each type that do something here. */
const KEYS = {
  image: ["name", "push"],
  docker: ["dest", "tar", "name", "compression", "compression-level"],
  oci: ["dest", "tar", "name", "compression", "compression-level"],
  tar: ["dest", "platform-split"],
  local: ["dest", "platform-split"],
} as const satisfies Record<OutputOptions["type"], readonly string[]>;
const COMPRESSIONS: readonly CompressionName[] = ["gzip", "zstd", "uncompressed"];

/** An output of a target as the engine knows it; none for `cacheonly`, whose steps are made and nothing else. */
export function outputOf(output: Spec, fault: Fault): OutputOptions[] {
  const { type } = output;
  if (type === "cacheonly") return [];
  if (type === "registry" || output.push === "true") {
    throw fault("output", "pushing is not supported yet", "kbuild save writes an archive that other tools push");
  }
  if (type !== "image" && type !== "docker" && type !== "oci" && type !== "tar" && type !== "local") {
    throw fault("output", `there is no output of type ${String(type)}`, `there is ${Object.keys(KEYS).join(", ")}`);
  }
  for (const key of Object.keys(output)) checkKey(type, key, fault);
  const text = (key: string): string | undefined => (typeof output[key] === "string" ? output[key] : undefined);
  const name = text("name");
  const named = name === undefined ? {} : { name };
  const dest = text("dest");
  if (type === "image") return [{ type, ...named }];
  const split = text("platform-split");
  const splitting = split === undefined ? {} : { platformSplit: split === "true" };
  if (type === "tar") return [{ type, dest: dest ?? "-", ...splitting }];
  if (type === "local") {
    if (dest === undefined || dest === "-") throw fault("output", "type=local needs a folder: dest=FOLDER");
    return [{ type, dest, ...splitting }];
  }
  // Without a file, docker's own images are meant: kbuild's are those of its store.
  if (type === "docker" && dest === undefined) return [{ type: "image", ...named }];
  const isFolder = text("tar") === "false";
  if (isFolder && (type === "docker" || dest === undefined)) {
    throw fault(
      "output",
      type === "docker" ? "a docker archive is always a tar" : "tar=false needs a folder: dest=FOLDER",
    );
  }
  return [{ type, dest: dest ?? "-", ...(isFolder ? { tar: false } : {}), ...named, ...compressionOf(output, fault) }];
}

function checkKey(type: keyof typeof KEYS, key: string, fault: Fault): void {
  const keys: readonly string[] = KEYS[type];
  if (key === "type" || keys.includes(key)) return;
  const near = suggest(key, keys);
  throw fault("output", `type=${type} has no ${key}`, near ? `did you mean ${near}?` : `it has ${keys.join(", ")}`);
}

function compressionOf(output: Spec, fault: Fault) {
  const compression = COMPRESSIONS.find((one) => one === output.compression);
  if (output.compression !== undefined && compression === undefined) {
    throw fault(
      "output",
      `there is no compression ${String(output.compression)}`,
      `there is ${COMPRESSIONS.join(", ")}`,
    );
  }
  const level = output["compression-level"];
  if (level !== undefined && !/^-?\d{1,4}$/.test(String(level))) throw fault("output", "compression-level is a number");
  return {
    ...(compression === undefined ? {} : { compression }),
    ...(level === undefined ? {} : { compressionLevel: Number(level) }),
  };
}
