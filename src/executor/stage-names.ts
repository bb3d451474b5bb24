import type { Stage } from "../parser/instructions.ts";

/** The stages of a Dockerfile by name. Several may have one name: which is meant depends on who asks. */
export class StageNames {
  /** Numbers in ascending order. */
  readonly #numbers = new Map<string, number[]>();

  constructor(stages: readonly Stage[]) {
    for (const { index, from } of stages) {
      if (from.name === undefined) continue;
      const known = this.#numbers.get(from.name.text);
      if (known === undefined) this.#numbers.set(from.name.text, [index]);
      else known.push(index);
    }
  }

  /** The last stage of this name (in lower case) with a number below `limit`. */
  before(name: string, limit: number): number | undefined {
    const numbers = this.#numbers.get(name) ?? [];
    return numbers[firstFrom(numbers, limit) - 1];
  }

  /** The first stage of this name (in lower case) with a number of at least `limit`. */
  from(name: string, limit: number): number | undefined {
    const numbers = this.#numbers.get(name) ?? [];
    return numbers[firstFrom(numbers, limit)];
  }
}

/** Where in ascending numbers the first one stands that is at least `limit`; behind all of them when there is none. */
function firstFrom(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
