import { type CallSite, type FunctionTable, ofTexts, wrong } from "./function.ts";

interface Version {
  readonly numbers: readonly [number, number, number];
  /** How many of the numbers were given. */
  readonly given: number;
  readonly before: readonly string[];
}

const VERSION =
  /^v?(\d{1,10}|[xX*])(?:\.(\d{1,10}|[xX*]))?(?:\.(\d{1,10}|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** https://semver.org; numbers may be missing, or be `x` in constraints. */
function versionOf(text: string, site: CallSite, operand: number): Version {
  const match = VERSION.exec(text.trim());
  if (match === null || (operand === 0 && /[xX*]/.test(match.slice(1, 4).join(""))))
    throw wrong(site, operand, `${JSON.stringify(text)} is no version`);
  const parts = match.slice(1, 4);
  const found = parts.findIndex((part) => part === undefined || /^[xX*]$/.test(part));
  const given = found < 0 ? 3 : found;
  const number = (index: number): number => (index < given ? Number(parts[index]) : 0);
  return { numbers: [number(0), number(1), number(2)], given, before: match[4]?.split(".") ?? [] };
}

function compare(a: Version, b: Version): number {
  for (const [index, number] of a.numbers.entries()) {
    const other = b.numbers[index] ?? 0;
    if (number !== other) return number - other;
  }
  if (a.before.length === 0 || b.before.length === 0) return b.before.length - a.before.length;
  for (let index = 0; index < Math.max(a.before.length, b.before.length); index += 1) {
    const [one, other] = [a.before[index], b.before[index]];
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1;
    if (one === other) continue;
    const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
    if (isNumber && isOtherNumber) return Number(one) - Number(other);
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
    return one < other ? -1 : 1;
  }
  return 0;
}

/** The first version after all that begin with the numbers up to an index. */
function next({ numbers }: Version, index: number): Version {
  const raised = numbers.map((number, at) => (at < index ? number : at === index ? number + 1 : 0));
  return { numbers: [raised[0] ?? 0, raised[1] ?? 0, raised[2] ?? 0], given: 3, before: [] };
}

function isWithin(version: Version, from: Version, until: Version): boolean {
  return compare(version, from) >= 0 && compare(version, until) < 0;
}

/** One comparison: `>=1.2`, `~1.2.3`, `^1`, `1.x`. */
function satisfies(version: Version, text: string, site: CallSite): boolean {
  const [, operator = "", rest = ""] = /^(=>|=<|>=|<=|!=|~>|[=<>~^]?)\s*(.*)$/.exec(text) ?? [];
  const wanted = versionOf(rest, site, 1);
  // What comes before a release is wanted only by those who name such.
  if (version.before.length > 0 && wanted.before.length === 0) return false;
  if (wanted.given === 0) return operator !== "!=" && operator !== "<" && operator !== ">";
  const all = next(wanted, wanted.given - 1);
  switch (operator) {
    case ">":
      return wanted.given < 3 ? compare(version, all) >= 0 : compare(version, wanted) > 0;
    case "<":
      return compare(version, wanted) < 0;
    case ">=":
    case "=>":
      return compare(version, wanted) >= 0;
    case "<=":
    case "=<":
      return wanted.given < 3 ? compare(version, all) < 0 : compare(version, wanted) <= 0;
    case "!=":
      return wanted.given < 3 ? !isWithin(version, wanted, all) : compare(version, wanted) !== 0;
    case "~":
    case "~>":
      return isWithin(version, wanted, next(wanted, Math.min(1, wanted.given - 1)));
    case "^": {
      const first = wanted.numbers.findIndex((number) => number > 0);
      return isWithin(version, wanted, next(wanted, first < 0 || first >= wanted.given ? wanted.given - 1 : first));
    }
  }
  return wanted.given < 3 ? isWithin(version, wanted, all) : compare(version, wanted) === 0;
}

/** Comparisons with commas or blanks between them hold together; of those with `||` one is enough. */
function matches(version: string, constraint: string, site: CallSite): boolean {
  const found = versionOf(version, site, 0);
  return constraint.split("||").some((part) => {
    const ranges = part.trim().replace(/(\S+)\s+-\s+(\S+)/g, ">=$1 <=$2");
    const comparisons = ranges
      .replace(/([=<>~^!])\s+/g, "$1")
      .split(/[\s,]+/)
      .filter((one) => one !== "");
    if (comparisons.length === 0) throw wrong(site, 1, "this is no constraint", 'for instance ">= 1.2, < 2"');
    return comparisons.every((one) => satisfies(found, one, site));
  });
}

export const VERSION_FUNCTIONS: FunctionTable = {
  semvercmp: ofTexts(2, ([version = "", constraint = ""], site) => matches(version, constraint, site)),
};
