import type { Expression } from "./hcl/syntax.ts";
import { faultAt, type Place } from "./source.ts";
import { areEqual, toBoolean, toNumber, type Value } from "./values.ts";

type Binary = Extract<Expression, { readonly kind: "binary" }>;

/** What an operator makes of two values; `&&` and `||` look at the second only if it counts. */
export function binary({ operator, left, right, place }: Binary, compute: (operand: Expression) => Value): Value {
  switch (operator) {
    case "&&":
      return toBoolean(compute(left), left.place) && toBoolean(compute(right), right.place);
    case "||":
      return toBoolean(compute(left), left.place) || toBoolean(compute(right), right.place);
    case "==":
      return areEqual(compute(left), compute(right));
    case "!=":
      return !areEqual(compute(left), compute(right));
  }
  const [first, second] = [compute(left), compute(right)];
  if (operator === "+" && (isWords(first) || isWords(second))) {
    throw faultAt(place, "+ adds numbers, and one of these is a string", "a template joins strings");
  }
  const [a, b] = [toNumber(first, left.place), toNumber(second, right.place)];
  switch (operator) {
    case "<":
      return a < b;
    case ">":
      return a > b;
    case "<=":
      return a <= b;
    case ">=":
      return a >= b;
    case "+":
      return finite(a + b, place);
    case "-":
      return finite(a - b, place);
    case "*":
      return finite(a * b, place);
    case "/":
      if (b === 0) throw faultAt(place, "nothing can be divided by 0");
      return finite(a / b, place);
    case "%":
      if (b === 0) throw faultAt(place, "nothing can be divided by 0");
      return a % b;
  }
}

function isWords(value: Value): boolean {
  return typeof value === "string" && !/^[+-]?[\d.]+$/.test(value);
}

/** Of a number that is not whole so many digits are kept: more are an artefact of binary fractions. */
const DIGITS = 15;

/**
 * A result that can be told as it is: 0.1 + 0.2 is 0.3. Whole numbers that a double cannot hold exactly are refused, for
 * the outcome would be wrong.
 */
export function finite(result: number, place: Place): number {
  if (Number.isSafeInteger(result)) return result;
  if (Number.isFinite(result) && !Number.isInteger(result)) return Number(result.toPrecision(DIGITS));
  throw faultAt(place, "this number has more digits than can be computed with");
}
