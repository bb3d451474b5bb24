import { createHash, randomUUID } from "node:crypto";
import { KbuildError } from "../../errors.ts";
import { fromJson, jsonText, mapOf, type Value } from "../values.ts";
import { type BakeFunction, type CallSite, type FunctionTable, ofText, ofTexts, taking, wrong } from "./function.ts";

function hash(algorithm: string): BakeFunction {
  return ofText((text) => createHash(algorithm).update(text).digest("hex"));
}

/** RFC 4180: the first row names the columns. */
function csv(text: string, site: CallSite): Value {
  const [head, ...rows] = csvRows(text, site);
  if (head === undefined) throw wrong(site, 0, "there is no row with the names of columns");
  if (new Set(head).size < head.length) throw wrong(site, 0, "two columns have one name");
  return rows.map((row, number) => {
    if (row.length !== head.length) {
      throw wrong(site, 0, `row ${number + 2} has ${row.length} columns, and the first has ${head.length}`);
    }
    return mapOf(head.map((name, column) => [name, row[column] ?? ""] as const));
  });
}

function csvRows(text: string, site: CallSite): string[][] {
  const rows: string[][] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  let row: string[] = [];
  while (field.lastIndex < text.length || row.length > 0) {
    const match = field.exec(text);
    if (match === null) throw wrong(site, 0, "there is a quote where none can be");
    const [, quoted, plain = "", end] = match;
    const isBlank = quoted === undefined && plain === "" && row.length === 0 && end !== ",";
    if (!isBlank) row.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === ",") continue;
    if (row.length > 0) rows.push(row);
    row = [];
    if (end === "") break;
  }
  return rows;
}

/** The namespaces of RFC 4122, appendix C, that have names. */
const NAMESPACES: Readonly<Record<string, string>> = {
  dns: "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
  url: "6ba7b811-9dad-11d1-80b4-00c04fd430c8",
  oid: "6ba7b812-9dad-11d1-80b4-00c04fd430c8",
  x500: "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
};

/** RFC 4122, 4.3. */
function uuidOfName(namespace: string, name: string, site: CallSite): string {
  const known = NAMESPACES[namespace] ?? namespace;
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(known)) {
    throw wrong(site, 0, `${JSON.stringify(namespace)} is no namespace`, "there is dns, url, oid, x500, and any UUID");
  }
  const bytes = createHash("sha1")
    .update(Buffer.from(known.replaceAll("-", ""), "hex"))
    .update(name)
    .digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex", 0, 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function isTooLong(number: number): boolean {
  return Number.isInteger(number) && !Number.isSafeInteger(number);
}

function decodedBase64(text: string, site: CallSite): string {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) throw wrong(site, 0, "this is not base64");
  const decoded = bytes.toString("utf8");
  if (!Buffer.from(decoded).equals(bytes)) throw wrong(site, 0, "what this holds is not UTF-8");
  return decoded;
}

export const ENCODING_FUNCTIONS: FunctionTable = {
  base64encode: ofText((text) => Buffer.from(text).toString("base64")),
  base64decode: ofText(decodedBase64),
  csvdecode: ofText(csv),
  jsonencode: taking(1, 1, ([value = null]) => jsonText(value)),
  jsondecode: ofText((text, site) => {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text, (_, value: unknown) => {
        if (typeof value !== "number" || (Number.isFinite(value) && !isTooLong(value))) return value;
        throw wrong(site, 0, "a number has more digits than can be computed with");
      });
    } catch (error) {
      throw error instanceof KbuildError ? error : wrong(site, 0, "this is no JSON");
    }
    return fromJson(parsed);
  }),
  md5: hash("md5"),
  sha1: hash("sha1"),
  sha256: hash("sha256"),
  sha512: hash("sha512"),
  // As Go's url.QueryEscape.
  urlencode: ofText((text) =>
    encodeURIComponent(text.toWellFormed?.() ?? text)
      .replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
      .replaceAll("%20", "+"),
  ),
  uuidv4: taking(0, 0, () => randomUUID()),
  uuidv5: ofTexts(2, ([namespace = "", name = ""], site) => uuidOfName(namespace, name, site)),
};
