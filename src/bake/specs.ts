import type { Spec } from "./attributes.ts";
import { faultAt, type Place } from "./source.ts";
import { goBoolean, isList, isMap, toText, type Value } from "./values.ts";

export type SpecName = "attest" | "cache-from" | "cache-to" | "secret" | "ssh" | "output";

/** A spec as a string as the options of `build` have them, or as an object with the same keys. */
export function specOf(name: SpecName, value: Value, place: Place | undefined): Spec {
  return isMap(value) ? fromObject(name, value, place) : fromText(name, toText(value, place), place);
}

function fromObject(name: SpecName, value: ReadonlyMap<string, Value>, place: Place | undefined): Spec {
  const entries = [...value].flatMap(([key, member]): (readonly [string, Spec[string]])[] => {
    if (member === null) return [];
    if (isList(member)) {
      if (name === "ssh" && key === "paths") return [[key, member.map((path) => toText(path, place))]];
      throw faultAt(place, `${key} of ${name} is a list, and must be a string`);
    }
    return [[key, toText(member, place)]];
  });
  return checked(name, Object.fromEntries(entries), place);
}

function fromText(name: SpecName, text: string, place: Place | undefined): Spec {
  if (name === "ssh") return sshOf(text);
  const fields = csvFields(text, place);
  const isPlain = fields.length === 1 && !/^[A-Za-z][\w.-]*=/.test(fields[0] ?? "");
  if (isPlain && name === "output") {
    return text === "-" ? { dest: "-", type: "tar" } : { dest: fields[0] ?? "", type: "local" };
  }
  if (isPlain && (name === "cache-from" || name === "cache-to")) return { ref: fields[0] ?? "", type: "registry" };
  const entries = new Map<string, string>();
  for (const field of fields) {
    const at = field.indexOf("=");
    if (at < 1) throw faultAt(place, `${name}: ${JSON.stringify(field)} must be KEY=VALUE`);
    // What an attestation is made with is named as its generator has it.
    const key = name === "attest" ? field.slice(0, at) : field.slice(0, at).trim().toLowerCase();
    if (entries.has(key)) throw faultAt(place, `${name}: ${key} is given twice`);
    entries.set(key, field.slice(at + 1));
  }
  return checked(name, Object.fromEntries(entries), place);
}

/** `ID`, or `ID=SOCKET` or `ID=KEY,KEY`. */
function sshOf(text: string): Spec {
  const at = text.indexOf("=");
  const id = (at < 0 ? text : text.slice(0, at)) || "default";
  const paths = at < 0 ? [] : text.slice(at + 1).split(",");
  return paths.length === 0 ? { id } : { id, paths };
}

function checked(name: SpecName, given: Spec, place: Place | undefined): Spec {
  if (name === "secret") return secretOf(given, place);
  if (name === "ssh") return given;
  if (given.type === undefined && (name === "attest" || name === "output")) {
    throw faultAt(
      place,
      `${name} needs a type`,
      name === "output" ? "for instance type=docker,dest=image.tar" : undefined,
    );
  }
  const typed = given.type === undefined ? { ...given, type: "registry" } : given;
  if (name !== "attest" || typed.disabled === undefined) return sortedSpec(typed);
  const disabled = goBoolean(String(typed.disabled));
  if (disabled === undefined) throw faultAt(place, "disabled must be true or false");
  return sortedSpec({ ...typed, disabled });
}

/** With its keys in the order in which they are shown. */
export function sortedSpec(spec: Spec): Spec {
  return Object.fromEntries(Object.entries(spec).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const SECRET_KEYS = ["id", "src", "source", "env", "type"];

/** In `src` or `env` is where it comes from; with `type=env`, `src` names the variable. */
function secretOf(given: Spec, place: Place | undefined): Spec {
  const odd = Object.keys(given).find((key) => !SECRET_KEYS.includes(key));
  if (odd !== undefined) throw faultAt(place, `a secret has no ${odd}`, "it has id, src, env, type");
  const { id, type, env } = given;
  const src = given.src ?? given.source;
  if (type !== undefined && type !== "file" && type !== "env")
    throw faultAt(place, "the type of a secret is file or env");
  const variable = env ?? (type === "env" ? src : undefined);
  const file = type === "env" ? undefined : src;
  if (variable !== undefined && file !== undefined) {
    throw faultAt(place, "a secret is from a file or from a variable, and this one has src and env");
  }
  return {
    ...(id === undefined ? {} : { id }),
    ...(file === undefined ? {} : { src: file }),
    ...(variable === undefined ? {} : { env: variable }),
  };
}

/** The fields of one line of CSV; quoted ones may hold commas, and `""` is a quote. */
export function csvFields(line: string, place: Place | undefined): string[] {
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  const fields: string[] = [];
  for (;;) {
    const match = field.exec(line);
    if (match === null) throw faultAt(place, `${JSON.stringify(line)}: there is a quote where none can be`);
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (match[3] === "") return fields;
  }
}
