import type { KbuildError } from "../../errors.ts";
import { faultAt, type Place } from "../source.ts";
import { toText, type Value } from "../values.ts";

/** Where a function is called, and what it may know of the machine. */
export interface CallSite {
  readonly place: Place;
  /** The place of an operand, from 0. */
  readonly operand: (number: number) => Place;
  readonly home: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface BakeFunction {
  readonly least: number;
  readonly most: number;
  call(values: readonly Value[], site: CallSite): Value;
}

export type FunctionTable = Readonly<Record<string, BakeFunction>>;

type Call = BakeFunction["call"];

/** A function of so many values. */
export function taking(least: number, most: number, call: Call): BakeFunction {
  return { least, most, call };
}

/** A function of at least so many values. */
export function takingMany(least: number, call: Call): BakeFunction {
  return { least, most: Number.POSITIVE_INFINITY, call };
}

/** A function of texts alone. */
export function ofTexts(count: number, call: (texts: readonly string[], site: CallSite) => Value): BakeFunction {
  return taking(count, count, (values, site) =>
    call(
      values.map((value, number) => toText(value, site.operand(number))),
      site,
    ),
  );
}

/** A function of one text. */
export function ofText(call: (text: string, site: CallSite) => Value): BakeFunction {
  return ofTexts(1, ([text = ""], site) => call(text, site));
}

/** A value that was given; those that may be left out are null. */
export function given(values: readonly Value[], number: number): Value {
  return values[number] ?? null;
}

export function textOf(values: readonly Value[], number: number, site: CallSite): string {
  return toText(given(values, number), site.operand(number));
}

/** An operand is not what it has to be. */
export function wrong(site: CallSite, number: number, message: string, hint?: string): KbuildError {
  return faultAt(site.operand(number), message, hint);
}
