/** Numbers that a seed makes again: Marsaglia's xorshift with 32 bits. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds next to each other shall not begin alike, and zero would stay zero.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
    for (let warm = 0; warm < 8; warm++) this.#next();
  }

  /** A whole number from 0 to below `limit`; 0 when that is not above 0. */
  below(limit: number): number {
    return limit <= 0 ? 0 : this.#next() % limit;
  }

  pick(list: readonly string[]): string {
    return list[this.below(list.length)] ?? "";
  }

  #next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }
}
