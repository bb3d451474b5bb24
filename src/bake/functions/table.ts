import { ENCODING_FUNCTIONS } from "./encodings.ts";
import { FORMAT_FUNCTIONS } from "./format.ts";
import type { BakeFunction } from "./function.ts";
import { LIST_FUNCTIONS } from "./lists.ts";
import { NETWORK_FUNCTIONS } from "./network.ts";
import { NUMBER_FUNCTIONS } from "./numbers.ts";
import { REGEXP_FUNCTIONS } from "./regexps.ts";
import { TEXT_FUNCTIONS } from "./texts.ts";
import { TIME_FUNCTIONS } from "./times.ts";
import { VERSION_FUNCTIONS } from "./versions.ts";

export type { BakeFunction, CallSite } from "./function.ts";

/** The functions that bake documents ("Bake standard library functions"), but for those that the evaluator does itself. */
export const FUNCTIONS: ReadonlyMap<string, BakeFunction> = new Map(
  [
    TEXT_FUNCTIONS,
    FORMAT_FUNCTIONS,
    REGEXP_FUNCTIONS,
    NUMBER_FUNCTIONS,
    LIST_FUNCTIONS,
    ENCODING_FUNCTIONS,
    TIME_FUNCTIONS,
    NETWORK_FUNCTIONS,
    VERSION_FUNCTIONS,
  ].flatMap((table) => Object.entries(table)),
);

/** Functions of bake that are not here, and why. */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ["bcrypt", "its outcome would be another each time, and so would every build"],
  ["rsadecrypt", "a private key does not belong into a bake file; use a secret"],
  ["byteslen", "bake files have no values that are bytes; strlen tells how long a string is"],
  ["bytesslice", "bake files have no values that are bytes"],
]);
