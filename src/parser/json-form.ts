/** A string of a JSON array: its value, and where it stands in the text. */
export interface JsonWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The strings of a text that is a JSON array of strings; `mixed` when it is a JSON array with something else in it;
 * undefined when it is no JSON array. Docker takes a text that is none for a shell form.
 */
export function parseJsonWords(text: string): readonly JsonWord[] | "mixed" | undefined {
  if (!text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // No JSON: what it is instead is for the caller to say.
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (!value.every((item): item is string => typeof item === "string")) return "mixed";
  const words: JsonWord[] = [];
  let at = 0;
  for (const item of value) {
    const start = text.indexOf('"', at);
    at = stringEnd(text, start);
    words.push({ text: item.toWellFormed(), start, end: at });
  }
  return words;
}

/** Behind the closing quote of a JSON string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/**
 * Whether a text that is no JSON array was most likely meant to be one: `['node', 'app.js']`. A shell's test command,
 * `[ -f x ]`, and a pattern, `[ab].txt`, are not.
 */
export function looksLikeJson(text: string): boolean {
  const match = /^\[([ \t]*)["'\u2018\u2019\u201c\u201d]/.exec(text);
  if (match === null) return false;
  return match[1] === "" || /["'\u2019\u201d][ \t]*,/.test(text);
}
