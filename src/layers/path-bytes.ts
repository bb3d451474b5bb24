/**
 * Paths are bytes to the kernel and to tar, and strings to us. Bytes that are not UTF-8 become lone surrogates
 * (0x80..0xff -> U+DC80..U+DCFF, as PEP 383 has it), so that every path survives the way there and back.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What Node puts in the place of bytes that are not UTF-8; a path may also have it by right. */
const REPLACEMENT = "\ufffd";

/** {@link decodePath} of a part of a buffer. A decoder takes half as long again, and is left to paths that need one. */
export function decodePathIn(buffer: Buffer, start: number, end: number): string {
  if (start === end) return "";
  const text = buffer.toString("utf8", start, end);
  return text.includes(REPLACEMENT) ? decodePath(buffer.subarray(start, end)) : text;
}

/** The string of a path's bytes. Never fails; the inverse of {@link encodePath}. */
export function decodePath(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    return decodeBroken(bytes);
  }
}

/** The bytes of a path string that {@link decodePath} made, or of any other string. */
export function encodePath(path: string): Buffer {
  return path.isWellFormed() ? Buffer.from(path, "utf8") : encodeBroken(path);
}

/** A form for people: bytes that are not UTF-8 and control characters shown as `\xNN`, `\n` and so on. */
export function showPath(path: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a terminal
  return path.replace(/[\u0000-\u001f\u007f\u0080-\u009f\\]|\p{Surrogate}/gu, (character) => {
    const code = character.charCodeAt(0);
    if (character === "\\") return "\\\\";
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    if (character === "\r") return "\\r";
    return `\\x${(code >= 0xdc80 ? code - 0xdc00 : code).toString(16).padStart(2, "0")}`;
  });
}

function decodeBroken(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0, at = 0; start < bytes.length; start = at) {
    for (let length = sequenceLength(bytes, at); length > 0; length = sequenceLength(bytes, at)) at += length;
    text += decoder.decode(bytes.subarray(start, at));
    if (at < bytes.length) text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
    at += 1;
  }
  return text;
}

/** The length of the valid UTF-8 sequence that starts at `at`, or 0. RFC 3629, section 4. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at];
  if (first === undefined) return 0;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  // Overlong forms, surrogates and what is above U+10FFFF show in the second byte.
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  for (let more = 1; more < length; more++) {
    const byte = bytes[at + more] ?? 0;
    if (byte < (more === 1 ? least : 0x80) || byte > (more === 1 ? most : 0xbf)) return 0;
  }
  return length;
}

function encodeBroken(path: string): Buffer {
  const parts: Buffer[] = [];
  for (const character of path) {
    const code = character.charCodeAt(0);
    const isByte = character.length === 1 && code >= 0xdc80 && code <= 0xdcff;
    parts.push(isByte ? Buffer.from([code - 0xdc00]) : Buffer.from(character, "utf8"));
  }
  return Buffer.concat(parts);
}
