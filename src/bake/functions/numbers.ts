import { finite } from "../operators.ts";
import { areEqual, toBoolean, toNumber, type Value } from "../values.ts";
import {
  type BakeFunction,
  type CallSite,
  type FunctionTable,
  given,
  taking,
  takingMany,
  textOf,
  wrong,
} from "./function.ts";

/** A function of so many numbers, with a number or a boolean for a result. */
function ofNumbers(
  count: number,
  call: (numbers: readonly number[], site: CallSite) => number | boolean,
): BakeFunction {
  return taking(count, count, (values, site) => {
    const result = call(
      values.map((value, number) => toNumber(value, site.operand(number))),
      site,
    );
    return typeof result === "number" ? finite(result, site.place) : result;
  });
}

function numbersOf(values: readonly Value[], site: CallSite): number[] {
  return values.map((value, number) => toNumber(value, site.operand(number)));
}

const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz";

const divide = (a: number, b: number, site: CallSite): number => {
  if (b === 0) throw wrong(site, 1, "nothing can be divided by 0");
  return a / b;
};
const absolute = ofNumbers(1, ([a = 0]) => Math.abs(a));

export const NUMBER_FUNCTIONS: FunctionTable = {
  absolute,
  abs: absolute,
  add: ofNumbers(2, ([a = 0, b = 0]) => a + b),
  subtract: ofNumbers(2, ([a = 0, b = 0]) => a - b),
  multiply: ofNumbers(2, ([a = 0, b = 0]) => a * b),
  divide: ofNumbers(2, ([a = 0, b = 0], site) => divide(a, b, site)),
  modulo: ofNumbers(2, ([a = 0, b = 0], site) => {
    divide(a, b, site);
    return a % b;
  }),
  negate: ofNumbers(1, ([a = 0]) => -a),
  ceil: ofNumbers(1, ([a = 0]) => Math.ceil(a)),
  floor: ofNumbers(1, ([a = 0]) => Math.floor(a)),
  int: ofNumbers(1, ([a = 0]) => Math.trunc(a)),
  signum: ofNumbers(1, ([a = 0]) => Math.sign(a)),
  pow: ofNumbers(2, ([a = 0, b = 0]) => a ** b),
  log: ofNumbers(2, ([a = 0, base = 0]) => Math.log(a) / Math.log(base)),
  lessthan: ofNumbers(2, ([a = 0, b = 0]) => a < b),
  lessthanorequalto: ofNumbers(2, ([a = 0, b = 0]) => a <= b),
  greaterthan: ofNumbers(2, ([a = 0, b = 0]) => a > b),
  greaterthanorequalto: ofNumbers(2, ([a = 0, b = 0]) => a >= b),
  min: takingMany(1, (values, site) => Math.min(...numbersOf(values, site))),
  max: takingMany(1, (values, site) => Math.max(...numbersOf(values, site))),
  parseint: taking(2, 2, (values, site) => {
    const text = textOf(values, 0, site).toLowerCase();
    const base = toNumber(given(values, 1), site.operand(1));
    if (!Number.isInteger(base) || base < 2 || base > 36) throw wrong(site, 1, "a base is from 2 to 36");
    const isNumber = new RegExp(`^[+-]?[${DIGITS.slice(0, base)}]+$`).test(text);
    if (!isNumber) throw wrong(site, 0, `${JSON.stringify(text)} is no number of base ${base}`);
    return finite(Number.parseInt(text, base), site.place);
  }),
  equal: taking(2, 2, ([a = null, b = null]) => areEqual(a, b)),
  notequal: taking(2, 2, ([a = null, b = null]) => !areEqual(a, b)),
  not: taking(1, 1, (values, site) => !toBoolean(given(values, 0), site.operand(0))),
  and: taking(2, 2, (values, site) => values.every((value, number) => toBoolean(value, site.operand(number)))),
  or: taking(2, 2, (values, site) => values.some((value, number) => toBoolean(value, site.operand(number)))),
};
