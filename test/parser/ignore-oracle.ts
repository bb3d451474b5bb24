/**
 * What docker's documents say of patterns, written in the plainest way, whatever time it takes: to hold the real
 * matchers to. Slow ones and malformed ones are not for here.
 */

/** Go's `filepath.Match` on a name without a slash. */
export function goMatch(pattern: string, name: string): boolean {
  return matchHere([...pattern], [...name]);
}

function matchHere(pattern: readonly string[], name: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return name.length === 0;
  if (first === "*") return matchHere(rest, name) || (name.length > 0 && matchHere(pattern, name.slice(1)));
  const [character, ...others] = name;
  if (character === undefined) return false;
  if (first === "?") return matchHere(rest, others);
  if (first === "\\") return rest[0] === character && matchHere(rest.slice(1), others);
  if (first !== "[") return first === character && matchHere(rest, others);
  const members = readClass(rest);
  return members.has(character) && matchHere(rest.slice(members.length), others);
}

/** A class from behind its bracket on: how long it is, bracket included, and what is in it. */
function readClass(text: readonly string[]): { readonly length: number; has(character: string): boolean } {
  const negated = text[0] === "^";
  const ranges: (readonly [string, string])[] = [];
  let at = negated ? 1 : 0;
  const end = (): string => {
    if (text[at] === "\\") at++;
    return text[at++] ?? "";
  };
  do {
    const low = end();
    if (text[at] === "-") at++;
    else {
      ranges.push([low, low]);
      continue;
    }
    ranges.push([low, end()]);
  } while (text[at] !== "]");
  return {
    length: at + 1,
    has: (character) => ranges.some(([low, high]) => low <= character && character <= high) !== negated,
  };
}

/** A pattern of an ignore file on a path, name by name: `**` stands for any number of names, at the end for at least one. */
export function matchPath(pattern: string, path: string): boolean {
  return matchNames(pattern.split("/"), path.split("/"));
}

function matchNames(patterns: readonly string[], names: readonly string[]): boolean {
  const [pattern, ...rest] = patterns;
  const [name, ...others] = names;
  if (pattern === undefined) return name === undefined;
  if (pattern === "**") {
    if (rest.length === 0) return name !== undefined;
    return matchNames(rest, names) || (name !== undefined && matchNames(patterns, others));
  }
  return name !== undefined && goMatch(pattern, name) && matchNames(rest, others);
}

export interface OracleRule {
  readonly pattern: string;
  readonly negated: boolean;
}

/** The documents: the last rule that matches the path, or a folder that it is in, decides. */
export function isIgnoredByRules(rules: readonly OracleRule[], path: string): boolean {
  const matching = rules.filter(({ pattern }) => prefixes(path).some((prefix) => matchPath(pattern, prefix)));
  return matching.at(-1)?.negated === false;
}

/**
 * BuildKit on its way from the root to the path: a rule that matched a folder matches what is in it. A rule is looked at
 * only where it would change what the ones before it say; what is not looked at has not matched. That is where it
 * differs from the documents: after `d/x`, `!d` does not let in d/x.
 */
export function isIgnoredByWalk(rules: readonly OracleRule[], path: string): boolean {
  let matched: readonly boolean[] = rules.map(() => false);
  let ignored = false;
  for (const prefix of prefixes(path)) {
    const above = matched;
    ignored = false;
    matched = rules.map(({ pattern, negated }, number) => {
      const matches = above[number] === true || (negated === ignored && matchPath(pattern, prefix));
      if (matches) ignored = !negated;
      return matches;
    });
  }
  return ignored;
}

/** `a`, `a/b` and `a/b/c` for `a/b/c`. */
function prefixes(path: string): readonly string[] {
  const names = path.split("/");
  return names.map((_, number) => names.slice(0, number + 1).join("/"));
}
