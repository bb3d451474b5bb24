import { type Cipher, createCipheriv, createHash } from "node:crypto";

const POOL_BYTES = 8 << 20;
const LETTERS = "etaoinshrdlcumwfgypbvkjxqz";
const SYNTAX = [
  "const ",
  "return ",
  "(",
  ")",
  ", ",
  ";\n",
  " => {\n  ",
  "}\n",
  " = ",
  ".",
  "if (",
  ") {\n    ",
  " === ",
];

/**
 * Bytes and numbers that depend on nothing but a seed: text that compresses about as source code does, noise, and sizes
 * spread as the sizes of files are. All of it comes from one AES-CTR key stream and integer arithmetic, so that every
 * machine and every version of node make the same.
 */
export class Material {
  readonly #stream: Cipher;
  #numbers: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #pool: Buffer;

  constructor(seed: string) {
    const key = createHash("sha256").update(seed).digest();
    this.#stream = createCipheriv("aes-128-ctr", key.subarray(0, 16), key.subarray(16));
    this.#pool = this.#makePool();
  }

  /** From 0 up to, and without, `limit`. */
  below(limit: number): number {
    return this.#next() % limit;
  }

  /** Bytes that nothing compresses. */
  noise(size: number): Buffer {
    return this.#stream.update(Buffer.alloc(size));
  }

  /** Bytes that look like source code. */
  text(size: number): Buffer {
    if (size <= POOL_BYTES) {
      const start = this.below(POOL_BYTES - size + 1);
      return this.#pool.subarray(start, start + size);
    }
    return Buffer.alloc(size, this.#pool);
  }

  /** Noise and text by turns of 64 KiB, half of each. */
  mixed(size: number): Buffer {
    const parts: Buffer[] = [];
    for (let left = size; left > 0; left -= 65536) {
      const part = Math.min(left, 65536);
      parts.push(this.below(2) === 0 ? this.noise(part) : this.text(part));
    }
    return Buffer.concat(parts);
  }

  /** A size about `median`, spread as the sizes of files are: each factor of two is one step of a binomial of 20 coins. */
  size(median: number, largest: number): number {
    let coins = this.#next() & 0xfffff;
    let doublings = -10;
    for (; coins > 0; coins >>>= 1) doublings += coins & 1;
    const scaled = (median * (512 + this.below(1024))) / 1024;
    const size = doublings < 0 ? scaled / 2 ** -doublings : scaled * 2 ** doublings;
    return Math.min(Math.floor(size) + 20, largest);
  }

  #next(): number {
    if (this.#at === this.#numbers.length) {
      this.#numbers = this.noise(65536);
      this.#at = 0;
    }
    const number = this.#numbers.readUInt32LE(this.#at);
    this.#at += 4;
    return number;
  }

  #makePool(): Buffer {
    const words = Array.from({ length: 1500 }, () =>
      Array.from({ length: 2 + this.below(9) }, () => LETTERS[Math.min(this.below(26), this.below(26))]).join(""),
    );
    const parts: string[] = [];
    for (let size = 0; size < POOL_BYTES; ) {
      const word = words[Math.min(this.below(words.length), this.below(words.length))] ?? "";
      const part = word + (SYNTAX[this.below(SYNTAX.length)] ?? "");
      parts.push(part);
      size += part.length;
    }
    return Buffer.from(parts.join("")).subarray(0, POOL_BYTES);
  }
}
