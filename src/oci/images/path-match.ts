import { KbuildError } from "../../errors.ts";

/**
 * Go's `path.Match`, which docker applies to the names of images: `*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are
 * classes, a backslash takes the next character as it is. The whole name must match.
 *
 * @throws KbuildError `usage.pattern` when the pattern is malformed, whatever the name is
 */
export function pathMatcher(pattern: string): (name: string) => boolean {
  const bad = (): KbuildError => new KbuildError("usage.pattern", `${JSON.stringify(pattern)} is not a valid pattern`);
  const characters = [...pattern];
  let source = "";
  let at = 0;
  const literal = (): string => {
    const character = characters[at++];
    if (character === "\\") {
      const next = characters[at++];
      if (next === undefined) throw bad();
      return next;
    }
    if (character === undefined) throw bad();
    return character;
  };
  while (at < characters.length) {
    switch (characters[at]) {
      case "*":
        while (characters[at] === "*") at++;
        source += "[^/]*";
        break;
      case "?":
        at++;
        source += "[^/]";
        break;
      case "[":
        at++;
        source += readClass();
        break;
      default:
        source += quote(literal());
    }
  }
  const expression = new RegExp(`^${source}$`, "su");
  return (name) => expression.test(name);

  function readClass(): string {
    const negated = characters[at] === "^";
    if (negated) at++;
    const ranges: string[] = [];
    for (let first = true; first || characters[at] !== "]"; first = false) {
      // Go: a dash or a bracket cannot begin a range, it must be escaped.
      if (characters[at] === "-" || characters[at] === "]") throw bad();
      const low = literal();
      let high = low;
      if (characters[at] === "-") {
        at++;
        if (characters[at] === "-" || characters[at] === "]") throw bad();
        high = literal();
      }
      // Go accepts an upside-down range, which matches nothing.
      if ((low.codePointAt(0) ?? 0) <= (high.codePointAt(0) ?? 0)) ranges.push(`${quote(low)}-${quote(high)}`);
    }
    at++;
    // Go: unlike *, a class can match a slash.
    if (ranges.length === 0) return negated ? "[\\s\\S]" : "[^\\s\\S]";
    return `[${negated ? "^" : ""}${ranges.join("")}]`;
  }
}

function quote(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
