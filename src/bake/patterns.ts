/** Whether a name of a target is meant as a pattern. */
export function isPattern(name: string): boolean {
  return /[*?[\]]/.test(name);
}

/**
 * The names that a pattern of Go's `path.Match` means, none when it is none. Names of targets have no slashes, so that a
 * `*` stands for everything.
 */
export function namesMatching(pattern: string, names: Iterable<string>): string[] {
  const source = pattern.replace(/\[[^\]]*\]|\*|\?|[^[*?]+|\[/g, (part) => {
    if (part === "*") return ".*";
    if (part === "?") return ".";
    return part.length > 2 && part.startsWith("[") ? part : part.replace(/[\\^$.*+?()[\]{}|-]/g, "\\$&");
  });
  try {
    const expression = new RegExp(`^(?:${source})$`);
    return [...names].filter((name) => expression.test(name));
  } catch {
    return [];
  }
}
