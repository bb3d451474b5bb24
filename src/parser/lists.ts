import { shown, trimSpace } from "./characters.ts";
import { mixedJson, warnOfJson } from "./commands.ts";
import type { Common, CopyInstruction, Heredoc, Word } from "./instructions.ts";
import { looksLikeJson, parseJsonWords } from "./json-form.ts";
import { faultOf, type Statement, splitPlain } from "./statement.ts";

/** Words in JSON form or between blanks, each with its start in the line. */
interface WordList {
  readonly json: boolean;
  readonly words: readonly (Word & { readonly start: number })[];
}

function readList(statement: Statement): WordList {
  const { line, rest, text } = statement;
  const words = parseJsonWords(text);
  if (words === "mixed") throw mixedJson(statement, rest);
  if (words !== undefined) {
    const placed = words.map(({ text: value, start, end }) => ({
      text: value,
      location: line.location(rest + start, rest + end),
      start: rest + start,
    }));
    return { json: true, words: placed };
  }
  if (looksLikeJson(text)) warnOfJson(statement, rest, "so it is split at spaces");
  const plain = splitPlain(statement).map(({ start, end }) => ({
    text: line.text.slice(start, end),
    location: line.location(start, end),
    start,
  }));
  return { json: false, words: plain };
}

/**
 * EXPOSE: ports between blanks.
 * @throws KbuildError `build.parse`
 */
export function parseExpose(statement: Statement): readonly Word[] {
  statement.flags();
  const ports = splitPlain(statement).map(({ start, end }) => statement.line.word(start, end));
  if (ports.length === 0) {
    throw faultOf(statement, "build.parse", "EXPOSE names no port", "write EXPOSE PORT, for instance EXPOSE 80");
  }
  return ports;
}

/**
 * VOLUME: paths.
 * @throws KbuildError `build.parse`, `build.blankName`
 */
export function parseVolume(statement: Statement): readonly Word[] {
  statement.flags();
  const { words } = readList(statement);
  if (words.length === 0) {
    throw faultOf(statement, "build.parse", "VOLUME names no path", "write VOLUME PATH, for instance VOLUME /data");
  }
  if (words.some((word) => trimSpace(word.text) === ""))
    throw faultOf(statement, "build.blankName", "a VOLUME is blank");
  return words.map(({ text, location }) => ({ text, location }));
}

type Copy = Omit<CopyInstruction, "kind" | keyof Common>;

/**
 * COPY and ADD: flags, sources, a destination.
 * @throws KbuildError `build.parse`, `build.heredoc`, and what flags are refused with
 */
export function parseCopy(statement: Statement): Copy {
  const { keyword } = statement;
  const flags = statement.flags();
  const { words, json } = readList(statement);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    throw faultOf(
      statement,
      "build.parse",
      destination === undefined ? `${keyword} has no source and no destination` : `${keyword} has no destination`,
      `write ${keyword} SOURCE… DESTINATION, for instance ${keyword} app.js .`,
    );
  }
  checkHeredocs(statement, words);
  const bodies =
    statement.heredocs.length === 0 ? undefined : new Map(statement.heredocs.map((body) => [body.head.start, body]));
  const sources: Word[] = [];
  const inline: Heredoc[] = [];
  const order: ({ source: number } | { heredoc: number })[] = [];
  for (const { text, location, start } of words.slice(0, -1)) {
    const body = bodies?.get(start);
    if (body === undefined) {
      order.push({ source: sources.length });
      sources.push({ text, location });
    } else {
      order.push({ heredoc: inline.length });
      inline.push(body.heredoc);
    }
  }
  return {
    sources,
    heredocs: inline,
    destination: { text: destination.text, location: destination.location },
    order,
    from: flags.text("from"),
    chown: flags.text("chown"),
    chmod: flags.text("chmod"),
    link: flags.boolean("link") ?? false,
    parents: flags.boolean("parents") ?? false,
    exclude: flags.texts("exclude"),
    checksum: flags.text("checksum"),
    keepGitDir: flags.boolean("keep-git-dir"),
    unpack: flags.boolean("unpack"),
    json,
  };
}

/** Every heredoc must be a whole word in front of the destination; its delimiter is the name of a file. */
function checkHeredocs(statement: Statement, words: WordList["words"]): void {
  const { line, keyword, heredocs } = statement;
  if (heredocs.length === 0) return;
  const starts = new Set(words.slice(0, -1).map((word) => word.start));
  for (const { head } of heredocs) {
    const fail = (message: string, hint: string) => line.fault("build.heredoc", message, head.start, head.end, hint);
    if (/^\d*<<-?\s/.test(line.text.slice(head.start, head.end))) {
      // A shell takes it; here the words are split before anybody looks for heredocs.
      throw fail(`${keyword} takes no space behind <<`, `write ${keyword} <<${shown(head.name)} DESTINATION`);
    }
    if (head.start === words.at(-1)?.start) {
      throw fail(
        `a heredoc cannot be where ${keyword} copies to`,
        `write ${keyword} <<${shown(head.name)} DESTINATION`,
      );
    }
    if (!starts.has(head.start) || /\s/.test(head.name)) {
      throw fail(`"${shown(head.name)}" cannot be the name of a file`, "use a delimiter without spaces, as in <<EOF");
    }
  }
}
