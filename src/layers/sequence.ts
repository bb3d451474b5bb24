/**
 * A list whose members are made while it is gone through, every time anew: what would take too much memory as an array
 * of objects. Going through it gives exactly `length` members. An array is one as well.
 */
export interface Sequence<T> extends Iterable<T> {
  readonly length: number;
}

/** A sequence of what becomes of another one's members. */
export function mapped<From, To>(sequence: Sequence<From>, change: (member: From) => To): Sequence<To> {
  return {
    length: sequence.length,
    *[Symbol.iterator]() {
      for (const member of sequence) yield change(member);
    },
  };
}

/** Whether something holds for every member; none is made after the first for which it does not. */
export function holdsForAll<T>(sequence: Sequence<T>, condition: (member: T) => boolean): boolean {
  for (const member of sequence) if (!condition(member)) return false;
  return true;
}
