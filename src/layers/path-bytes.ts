/**
 * Paths are bytes to the kernel and to tar, and strings to us. Bytes that are not UTF-8 become lone surrogates
 * (0x80..0xff -> U+DC80..U+DCFF, as PEP 383 has it), so that every path survives the way there and back.
 */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LONE_SURROGATE = /\p{Surrogate}/u;

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
  return LONE_SURROGATE.test(path) ? encodeBroken(path) : Buffer.from(path, "utf8");
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
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    } else {
      text += decoder.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/** The length of the valid UTF-8 sequence that starts at `at`, or 0. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    try {
      decoder.decode(bytes.subarray(at, at + length));
      return length;
    } catch {
      // A longer sequence may be valid.
    }
  }
  return 0;
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
