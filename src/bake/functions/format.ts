import { isList, isMap, jsonText, numberText, toBoolean, toList, toNumber, toText, type Value } from "../values.ts";
import { type CallSite, type FunctionTable, takingMany, textOf, wrong } from "./function.ts";

const VERB = /%(?:%|([-+ 0#]*)(\d+)?(?:\.(\d+))?(?:\[(\d+)\])?([a-zA-Z]))|%/g;
/** Wider fields are refused. */
const WIDEST = 10_000;

interface Verb {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly letter: string;
}

/** Verbs as those of C's printf. go-cty, function/stdlib, "FormatFunc". */
function formatted(template: string, values: readonly Value[], site: CallSite): string {
  let next = 0;
  let isIndexed = false;
  const text = template.replace(
    VERB,
    (all, flags = "", width?: string, precision?: string, index?: string, letter?: string) => {
      if (all === "%%") return "%";
      if (letter === undefined) throw wrong(site, 0, "a % is not followed by a verb", "%% stands for a %");
      if (index !== undefined) {
        next = Number(index) - 1;
        isIndexed = true;
      }
      const value = values[next];
      if (value === undefined) throw wrong(site, 0, `there is no value for ${all}`);
      next += 1;
      const verb = {
        flags,
        width: Number(width ?? 0),
        precision: precision === undefined ? undefined : Number(precision),
        letter,
      };
      if (verb.width > WIDEST || (verb.precision ?? 0) > 100) throw wrong(site, 0, `${all} is too wide`);
      return padded(verb, verbText(verb, value, site, next));
    },
  );
  if (!isIndexed && next < values.length) throw wrong(site, next + 1, "there is no verb for this value");
  return text;
}

function padded({ flags, width, letter }: Verb, text: string): string {
  if (flags.includes("-")) return text.padEnd(width);
  if (!flags.includes("0") || "sqvt".includes(letter)) return text.padStart(width);
  const [, sign = "", digits = ""] = /^([+ -]?)(.*)$/s.exec(text) ?? [];
  return sign + digits.padStart(width - sign.length, "0");
}

function verbText(verb: Verb, value: Value, site: CallSite, operand: number): string {
  const { letter, precision, flags } = verb;
  switch (letter) {
    case "v":
      if (flags.includes("#") || isList(value) || isMap(value) || value === null) return jsonText(value);
      return typeof value === "number" ? shortest(value) : toText(value, site.operand(operand));
    case "t":
      return String(toBoolean(value, site.operand(operand)));
    case "s":
    case "q": {
      const text = toText(value, site.operand(operand));
      const cut = precision === undefined ? text : [...text].slice(0, precision).join("");
      return letter === "q" ? jsonText(cut) : cut;
    }
  }
  const number = toNumber(value, site.operand(operand));
  const sign = number >= 0 && flags.includes("+") ? "+" : number >= 0 && flags.includes(" ") ? " " : "";
  return sign + numberVerb(verb, number, site);
}

function numberVerb({ letter, precision }: Verb, number: number, site: CallSite): string {
  switch (letter) {
    case "f":
      return number.toFixed(precision ?? 6);
    case "e":
    case "E":
      return inCase(withExponent(number, precision ?? 6), letter);
    case "g":
    case "G":
      return inCase(shortest(number, precision), letter);
  }
  const bases: Readonly<Record<string, number>> = { d: 10, b: 2, o: 8, x: 16, X: 16 };
  const base = bases[letter];
  if (base === undefined)
    throw wrong(site, 0, `there is no verb %${letter}`, "there is %v %s %q %d %t %b %o %x %f %e %g");
  if (!Number.isInteger(number))
    throw wrong(site, 0, `%${letter} needs a whole number, and this is ${numberText(number)}`);
  return inCase(number.toString(base), letter);
}

function inCase(text: string, letter: string): string {
  return letter === letter.toUpperCase() ? text.toUpperCase() : text;
}

/** Exponents have two digits at least, as Go writes them. */
function withExponent(number: number, digits?: number): string {
  return number.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
}

/** With an exponent where that is small or large, and otherwise in digits. Go's `%g`. */
function shortest(number: number, precision?: number): string {
  const digits = precision === undefined ? undefined : Math.max(1, precision);
  const text = withExponent(number, digits === undefined ? undefined : digits - 1);
  const exponent = Number(/e(.+)$/.exec(text)?.[1] ?? 0);
  if (exponent < -4 || exponent >= (digits ?? 6)) return text.replace(/\.?0+e/, "e");
  return numberText(digits === undefined ? number : Number(number.toPrecision(digits)));
}

export const FORMAT_FUNCTIONS: FunctionTable = {
  format: takingMany(1, (values, site) => formatted(textOf(values, 0, site), values.slice(1), site)),
  formatlist: takingMany(1, (values, site) => {
    const template = textOf(values, 0, site);
    const given = values.slice(1);
    const lengths = new Set(given.filter(isList).map((list) => list.length));
    const [length = 1, another] = lengths;
    if (another !== undefined) throw wrong(site, 1, "the lists are not of one length");
    return Array.from({ length }, (_, turn) =>
      formatted(
        template,
        given.map((value) => (isList(value) ? (toList(value, site.place)[turn] ?? null) : value)),
        site,
      ),
    );
  }),
};
