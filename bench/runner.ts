import type { Case } from "./cases.ts";
import type { Figures } from "./measure.ts";

/** Something that takes part in the rounds: a builder, or a bare cost. */
export interface Runner {
  readonly name: string;
  /** Whether it has anything to do with a case. */
  takes(each: Case): boolean;
  /** Before the rounds of a case. */
  prepare(each: Case): Promise<void>;
  /** Makes the start state; not timed. */
  ready(each: Case): Promise<void>;
  /** The timed part. */
  run(each: Case): Promise<Run>;
  /** Throws if what the timed part left is not the image that it should be. */
  check(each: Case, round: number): Promise<void>;
}

export interface Run extends Figures {
  /** Of the archive, if one was written. */
  readonly bytes?: number;
}

/** The figures of commands that ran one after the other. */
export function sum(parts: readonly Figures[]): Figures {
  const total = (what: (part: Figures) => number): number => parts.reduce((soFar, part) => soFar + what(part), 0);
  return {
    wall: total(({ wall }) => wall),
    user: total(({ user }) => user),
    system: total(({ system }) => system),
    peak: Math.max(0, ...parts.map(({ peak }) => peak)),
  };
}
