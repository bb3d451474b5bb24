import { faultAt, type Source } from "../source.ts";
import { InterpolationFault, interpolate, type Lookup } from "./interpolate.ts";

const LINE =
  /[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*(?:[=:][ \t]*(?:'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|([^\r\n]*)))?[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y;
const NOTHING = /[ \t]*(?:#[^\n]*)?\r?(?:\n|$)/y;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * The variables of a `.env` file. Values in single quotes are as they are, others may have variables in them, those of
 * lines before among them. A name without a value is the environment's. Compose specification, ".env file syntax".
 *
 * @throws KbuildError `build.bake`
 */
export function parseDotenv(source: Source, environment: Lookup): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const lookup: Lookup = (name) => environment(name) ?? found.get(name);
  let at = 0;
  while (at < source.text.length) {
    NOTHING.lastIndex = at;
    const nothing = NOTHING.exec(source.text);
    if (nothing !== null && nothing[0] !== "") {
      at += nothing[0].length;
      continue;
    }
    LINE.lastIndex = at;
    const line = LINE.exec(source.text);
    const end = source.text.indexOf("\n", at);
    const place = { source, from: at, to: end < 0 ? source.text.length : end };
    if (line === null) throw faultAt(place, "this line must be NAME=VALUE");
    const [all, name = "", literal, quoted, plain] = line;
    try {
      const value = literal ?? readValue(quoted, plain, lookup);
      const own = value ?? environment(name);
      if (own !== undefined) found.set(name, own);
    } catch (error) {
      if (error instanceof InterpolationFault) throw faultAt(place, error.message);
      throw error;
    }
    at += all.length;
  }
  return found;
}

function readValue(quoted: string | undefined, plain: string | undefined, lookup: Lookup): string | undefined {
  if (quoted !== undefined) {
    const text = quoted.replace(/\\([\s\S])/g, (_, one: string) => (one === "$" ? "$$" : (ESCAPES[one] ?? one)));
    return interpolate(text, lookup, () => undefined);
  }
  if (plain === undefined) return undefined;
  const text = plain.replace(/(?:^|\s)#.*$/, "").trim();
  return interpolate(text, lookup, () => undefined);
}
