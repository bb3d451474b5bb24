import { formatted, isStruct, Nil, sortedKeys, type Value } from "./values.ts";

/** Go's bound for widths is a million; nobody needs a tenth of a percent of it. */
const MOST_COLUMNS = 1000;
const VERB = /%([-+# 0]*)(\d+|\*)?(?:\.(\d+|\*)?)?(.)?/gsu;

/** Go's `fmt.Sprintf` for what templates hold: `%s %q %v %d %x %X %o %b %c %U %t %f %e %g %T %%`, flags and widths. */
export function sprintf(format: string, values: readonly Value[]): string {
  let next = 0;
  const text = format.replace(
    VERB,
    (whole: string, flags: string, width?: string, precision?: string, verb?: string) => {
      if (verb === undefined) return "%!(NOVERB)";
      const columns = width === "*" ? values[next++] : width === undefined ? undefined : Number(width);
      const isPrecise = /\./.test(whole.slice(0, -verb.length));
      const places =
        precision === "*" ? values[next++] : precision === undefined ? (isPrecise ? 0 : undefined) : Number(precision);
      if (verb === "%") return "%";
      if (!isSmall(columns) || !isSmall(places)) {
        next += 1;
        return isSmall(columns) ? "%!(BADPREC)" : "%!(BADWIDTH)";
      }
      if (next >= values.length) return `%!${verb}(MISSING)`;
      return padded(one(verb, values[next++], flags, places), flags, columns, verb);
    },
  );
  const extra = values.slice(next).map((value) => `${typeName(value)}=${formatted(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(", ")})`;
}

function isSmall(value: Value): value is number | undefined {
  return (
    value === undefined || (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= MOST_COLUMNS)
  );
}

/** Go pads by characters. Zeros go after a sign, and only to numbers. */
function padded(text: string, flags: string, columns: number | undefined, verb: string): string {
  if (columns === undefined) return text;
  const missing = Math.abs(columns) - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-") || columns < 0) return text + " ".repeat(missing);
  if (!flags.includes("0") || /[qvTsU]/.test(verb)) return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function one(verb: string, value: Value, flags: string, places: number | undefined): string {
  if (verb === "v") return formatted(value);
  if (verb === "T") return typeName(value);
  if (Array.isArray(value)) return `[${value.map((member) => one(verb, member, flags, places)).join(" ")}]`;
  if (value instanceof Map) {
    const members = sortedKeys(value).map(
      (key) => `${one(verb, key, flags, places)}:${one(verb, value.get(key), flags, places)}`,
    );
    return `map[${members.join(" ")}]`;
  }
  if (value instanceof Nil && value.printed !== "<nil>") return value.printed;
  if (typeof value === "string") return ofText(verb, value, places) ?? bad(verb, value);
  if (typeof value === "number") return ofNumber(verb, value, flags, places) ?? bad(verb, value);
  if (typeof value === "boolean" && verb === "t") return String(value);
  return bad(verb, value);
}

function ofText(verb: string, value: string, places: number | undefined): string | undefined {
  const shown = places === undefined ? value : [...value].slice(0, places).join("");
  switch (verb) {
    case "s":
      return shown;
    case "q":
      return quote(shown);
    case "x":
      return Buffer.from(shown).toString("hex");
    case "X":
      return Buffer.from(shown).toString("hex").toUpperCase();
    default:
      return undefined;
  }
}

function ofNumber(verb: string, value: number, flags: string, places: number | undefined): string | undefined {
  const sign = flags.includes("+") && value >= 0 ? "+" : "";
  const radix = { d: 10, x: 16, X: 16, o: 8, b: 2 }[verb];
  if (radix !== undefined) {
    if (!Number.isInteger(value)) return undefined;
    const text = value.toString(radix);
    return sign + (verb === "X" ? text.toUpperCase() : text);
  }
  const digits = Math.min(places ?? 6, 100);
  switch (verb) {
    case "c":
      return Number.isInteger(value) && value >= 0 && value <= 0x10ffff ? String.fromCodePoint(value) : undefined;
    case "q":
      return Number.isInteger(value) && value >= 0 && value <= 0x10ffff
        ? `'${String.fromCodePoint(value)}'`
        : undefined;
    case "U":
      return Number.isInteger(value) ? `U+${value.toString(16).toUpperCase().padStart(4, "0")}` : undefined;
    case "f":
    case "F":
      return Number.isInteger(value) ? undefined : sign + value.toFixed(digits);
    case "e":
      return Number.isInteger(value) ? undefined : sign + value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
    case "g":
      return Number.isInteger(value) ? undefined : sign + String(value);
    default:
      return undefined;
  }
}

function bad(verb: string, value: Value): string {
  if (value === undefined || value === null) return `%!${verb}(<nil>)`;
  return `%!${verb}(${typeName(value)}=${formatted(value)})`;
}

function typeName(value: Value): string {
  if (value === undefined || value === null) return "<nil>";
  if (value instanceof Nil) return "nil";
  if (Array.isArray(value)) return "[]interface {}";
  if (value instanceof Map) return "map[string]interface {}";
  if (isStruct(value)) return "struct";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** Go's `strconv.Quote`. */
export function quote(text: string): string {
  const shorts: Readonly<Record<string, string>> = { "\u0007": "\\a", "\v": "\\v", "\u007f": "\\x7f" };
  return JSON.stringify(text).replace(
    /\\u00([0-9a-f]{2})|[\u007f-\u00a0\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (found, code?: string) => {
      const character = code === undefined ? found : String.fromCharCode(Number.parseInt(code, 16));
      return (
        shorts[character] ??
        (code === undefined ? `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}` : `\\x${code}`)
      );
    },
  );
}
