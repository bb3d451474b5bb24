/** The data types of SSH's protocols: RFC 4251, section 5. */

/** Reads one value after another; what is missing at the end is an error of Node's, for the caller to catch. */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("the data end too early");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  byte(): number {
    return this.take(1).readUInt8(0);
  }

  uint32(): number {
    return this.take(4).readUInt32BE(0);
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  text(): string {
    return this.string().toString("utf8");
  }
}

export function wireByte(value: number): Buffer {
  return Buffer.from([value]);
}

export function wireUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function wireString(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([wireUint32(bytes.length), bytes]);
}

/** A number that is not negative, from its bytes, the highest first. */
export function wireNumber(value: Uint8Array): Buffer {
  const bytes = withoutZeros(value);
  const isHigh = bytes[0] !== undefined && bytes[0] >= 0x80;
  return wireString(isHigh ? Buffer.concat([wireByte(0), bytes]) : bytes);
}

/** A number's bytes without those in front that are zero. */
export function withoutZeros(value: Uint8Array): Uint8Array {
  const first = value.findIndex((byte) => byte !== 0);
  return first < 0 ? value.subarray(value.length) : value.subarray(first);
}
