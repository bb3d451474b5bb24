import type { OutputOptions } from "../api.ts";
import { suggest } from "../api.ts";
import { badValue, boolean, csvFields, integer, oneOf, type Parser } from "./values.ts";

const OPTION = "--output";
export const COMPRESSIONS = ["gzip", "zstd", "uncompressed"] as const;
const TYPES = ["image", "docker", "oci", "tar", "local"] as const;

/** The keys of each type that do something here. */
const KEYS: Readonly<Record<(typeof TYPES)[number], readonly string[]>> = {
  image: ["name", "push"],
  docker: ["dest", "tar", "name", "compression", "compression-level"],
  oci: ["dest", "tar", "name", "compression", "compression-level"],
  tar: ["dest", "platform-split"],
  local: ["dest", "platform-split"],
};
/** Keys of docker that ask for nothing when they have this value, which is what kbuild does anyway. */
const USUAL: Readonly<Record<string, boolean>> = {
  push: false,
  "push-by-digest": false,
  "oci-mediatypes": true,
  "force-compression": false,
  "rewrite-timestamp": false,
  unpack: false,
  store: true,
  "oci-artifact": false,
};
/** Keys of docker that are not there yet, whatever their value. */
const LATER = ["name-canonical", "dangling-name-prefix", "attestation-inline", "mode", "buildinfo", "context"];

/** `-o`: `type=docker,dest=x.tar`, or only a folder, or `-` for a tar on standard output. */
export const output: Parser<OutputOptions> = (text) => {
  const fields = csvFields(text, OPTION);
  if (fields.length === 1 && text !== "" && !/^"?type=/.test(text) && !/^[a-z-]+=/.test(fields[0] ?? "")) {
    return text === "-" ? { type: "tar", dest: "-" } : { type: "local", dest: fields[0] ?? "" };
  }
  const given = keysAndValues(text, fields);
  const type = typeOf(given.get("type"), text);
  given.delete("type");
  for (const [key, value] of given) checkKey(type, key, value, text);
  return assemble(type, given, text);
};

function keysAndValues(text: string, fields: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (const field of fields) {
    const at = field.indexOf("=");
    if (at < 1) throw badValue(OPTION, text, `${JSON.stringify(field)} must be KEY=VALUE`);
    const key = field.slice(0, at).trim().toLowerCase();
    if (given.has(key)) throw badValue(OPTION, text, `${key} is given twice`);
    given.set(key, field.slice(at + 1));
  }
  return given;
}

function typeOf(type: string | undefined, text: string): (typeof TYPES)[number] {
  if (type === undefined)
    throw badValue(OPTION, text, "type= is missing", "for instance -o type=docker,dest=image.tar");
  if (type === "registry")
    throw badValue(
      OPTION,
      text,
      "type=registry is not supported yet",
      "kbuild save writes an archive that other tools push",
    );
  if (type === "cacheonly") throw badValue(OPTION, text, "type=cacheonly is not supported yet");
  return oneOf(TYPES)(type, `${OPTION} type=`);
}

function checkKey(type: (typeof TYPES)[number], key: string, value: string, text: string): void {
  if (key === "push" && boolean(value, `${OPTION} push=`))
    throw badValue(OPTION, text, "push=true is not supported yet");
  const usual = USUAL[key];
  if (usual !== undefined && boolean(value, `${OPTION} ${key}=`) === usual) return;
  if (KEYS[type].includes(key)) return;
  if (usual !== undefined) throw badValue(OPTION, text, `${key}=${value} is not supported yet`);
  if (LATER.includes(key) || key.startsWith("annotation")) throw badValue(OPTION, text, `${key} is not supported yet`);
  const near = suggest(key, KEYS[type]);
  throw badValue(
    OPTION,
    text,
    `type=${type} has no ${key}`,
    near ? `did you mean ${near}?` : `it has ${KEYS[type].join(", ")}`,
  );
}

function assemble(type: (typeof TYPES)[number], given: ReadonlyMap<string, string>, text: string): OutputOptions {
  const dest = given.get("dest");
  if (dest === "") throw badValue(OPTION, text, "dest is empty");
  const name = given.get("name");
  switch (type) {
    case "image":
      return { type, ...(name === undefined ? {} : { name }) };
    case "local":
      if (dest === undefined || dest === "-") throw badValue(OPTION, text, "type=local needs a folder: dest=FOLDER");
      return { type, dest, ...splitOf(given) };
    case "tar":
      return { type, dest: dest ?? "-", ...splitOf(given) };
  }
  const isTar = boolean(given.get("tar") ?? "true", `${OPTION} tar=`);
  if (!isTar && type === "docker")
    throw badValue(OPTION, text, "a docker archive is always a tar", "type=oci,tar=false writes a folder");
  if (!isTar && (dest === undefined || dest === "-"))
    throw badValue(OPTION, text, "tar=false needs a folder: dest=FOLDER");
  const compression = given.get("compression");
  const level = given.get("compression-level");
  return {
    type,
    dest: dest ?? "-",
    ...(isTar ? {} : { tar: false }),
    ...(compression === undefined ? {} : { compression: oneOf(COMPRESSIONS)(compression, `${OPTION} compression=`) }),
    ...(level === undefined ? {} : { compressionLevel: integer(level, `${OPTION} compression-level=`) }),
    ...(name === undefined ? {} : { name }),
  };
}

function splitOf(given: ReadonlyMap<string, string>): { readonly platformSplit?: boolean } {
  const split = given.get("platform-split");
  return split === undefined ? {} : { platformSplit: boolean(split, `${OPTION} platform-split=`) };
}
