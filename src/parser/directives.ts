import { shown, skipSpace, trimmedEnd } from "./characters.ts";
import type { Word } from "./instructions.ts";
import type { SourceText } from "./source-text.ts";

/** The character that escapes, and that continues a line. */
export type Escape = "\\" | "`";

/** What the lines `# name=value` at the very top say. Dockerfile reference, "Parser directives". */
export interface Directives {
  readonly syntax: Word | undefined;
  readonly escape: Escape;
  readonly check: Word | undefined;
  /** How many lines at the top are directives. */
  readonly lineCount: number;
}

const NAMES = ["syntax", "escape", "check"];

/**
 * Reads the directives. The first line that is none, be it a comment, an unknown directive or blank, ends them: from
 * there on such lines are comments.
 * @throws KbuildError `build.directive` for one given twice and for an escape that is neither `\` nor a backtick
 */
export function readDirectives(source: SourceText): Directives {
  const found = new Map<string, Word>();
  let line = 0;
  for (; line < source.lineCount; line++) {
    const start = skipSpace(source.text, source.lineStart(line), source.lineEnd(line));
    const end = trimmedEnd(source.text, start, source.lineEnd(line));
    const match = /^#\s*([a-z][a-z0-9]*)\s*=\s*(?=\S)/i.exec(source.text.slice(start, end));
    const name = match?.[1]?.toLowerCase();
    if (match === null || name === undefined || !NAMES.includes(name)) break;
    if (found.has(name)) {
      throw source.fault(
        "build.directive",
        `the directive ${name} is there twice`,
        start,
        end,
        name === "check"
          ? "keep one of them; a blank line between them makes the second one a comment above the instruction"
          : `keep one of the lines # ${name}=…`,
      );
    }
    const valueStart = start + match[0].length;
    found.set(name, { text: source.text.slice(valueStart, end), location: source.location(valueStart, end) });
    const value = source.text.slice(valueStart, end);
    if (name === "escape" && value !== "\\" && value !== "`") {
      throw source.fault(
        "build.directive",
        `"${shown(value)}" cannot be the escape character`,
        valueStart,
        end,
        "it is \\ or `",
      );
    }
  }
  return {
    syntax: found.get("syntax"),
    escape: found.get("escape")?.text === "`" ? "`" : "\\",
    check: found.get("check"),
    lineCount: line,
  };
}
