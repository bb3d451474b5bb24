import { KbuildError } from "../errors.ts";
import type { Reply, Request } from "./protocol.ts";

/** What a reply's head may have at most: the matches of a wildcard over some 100,000 files take 10 MiB. */
const MAX_HEAD = 256 * 1024 * 1024;
const LENGTHS = 8;
const NOTHING = Buffer.alloc(0);

/** A half of a UTF-16 pair in JSON: `JSON.stringify` writes it as an escape, which is no Unicode text. */
const HALF_PAIR = /(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/;

/**
 * A frame up to its body, which is to be written right after it.
 * @throws KbuildError `build.notText` when a name in the request is no Unicode text
 */
export function encodeHead(request: Request, bodyLength: number): Buffer {
  const json = JSON.stringify(request);
  if (HALF_PAIR.test(json))
    throw new KbuildError("build.notText", "a name has half of a UTF-16 pair, which is no text");
  const length = Buffer.byteLength(json);
  const bytes = Buffer.allocUnsafe(LENGTHS + length);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt32LE(bodyLength, 4);
  bytes.write(json, LENGTHS);
  return bytes;
}

/** Takes frames apart as they come in. A body is put together in its place: each byte is copied once. */
export class FrameReader {
  readonly #deliver: (reply: Reply, body: Buffer) => void;
  readonly #lengths: Buffer = Buffer.alloc(LENGTHS);
  #part: "lengths" | "head" | "body" = "lengths";
  #target: Buffer = this.#lengths;
  #filled = 0;
  #bodyLength = 0;
  #reply: Reply | undefined;

  /** `deliver` gets each frame as soon as it is whole; an empty body is an empty buffer. */
  constructor(deliver: (reply: Reply, body: Buffer) => void) {
    this.#deliver = deliver;
  }

  /** @throws KbuildError `internal.native` when the bytes are no frames */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const taken = chunk.copy(this.#target, this.#filled, at, at + this.#target.length - this.#filled);
      this.#filled += taken;
      at += taken;
      // Parts that are empty are whole without a byte.
      while (this.#filled === this.#target.length) this.#next();
    }
  }

  #next(): void {
    const whole = this.#target;
    switch (this.#part) {
      case "lengths": {
        const length = whole.readUInt32LE(0);
        if (length === 0 || length > MAX_HEAD) throw notFrames();
        this.#bodyLength = whole.readUInt32LE(4);
        this.#expect("head", Buffer.allocUnsafe(length));
        return;
      }
      case "head":
        this.#reply = parseReply(whole);
        this.#expect("body", this.#bodyLength === 0 ? NOTHING : Buffer.allocUnsafeSlow(this.#bodyLength));
        return;
      case "body": {
        const reply = this.#reply;
        this.#reply = undefined;
        this.#expect("lengths", this.#lengths);
        if (reply !== undefined) this.#deliver(reply, whole);
      }
    }
  }

  #expect(part: "lengths" | "head" | "body", target: Buffer): void {
    this.#part = part;
    this.#target = target;
    this.#filled = 0;
  }
}

function parseReply(bytes: Buffer): Reply {
  try {
    const reply: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof reply === "object" && reply !== null && "reply" in reply) return reply as Reply;
  } catch {
    // Said below.
  }
  throw notFrames();
}

function notFrames(): KbuildError {
  return new KbuildError("internal.native", "the core of kbuild sent what is not its protocol");
}
