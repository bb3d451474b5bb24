import { KbuildError } from "../api.ts";
import { badValue, boolean, csvFields, oneOf, type Parser } from "./values.ts";

export const METHODS = ["build", "check", "outline", "targets", "subrequests.describe"] as const;
export const FORMATS = ["text", "json", "sarif"] as const;

export type Format = (typeof FORMATS)[number];

/** What is asked of a Dockerfile. */
export interface Call {
  readonly method: (typeof METHODS)[number];
  readonly format: Format;
  /** Whether findings leave the status at 0. */
  readonly ignoreStatus: boolean;
}

/** As typed: what is left out may be said by another option. */
export type TypedCall = Partial<Call> & Pick<Call, "method">;

/** `check`, `outline,format=json`, `check,ignorestatus=true`; `lint` is what BuildKit calls a check. */
export const call: Parser<TypedCall> = (text, option) => {
  let typed: TypedCall = { method: "build" };
  for (const [number, field] of csvFields(text, option).entries()) {
    const at = field.indexOf("=");
    const [key, value] = at < 0 ? [field, undefined] : [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)];
    if (value === undefined) {
      if (number > 0) throw badValue(option, text, `${JSON.stringify(field)} must be KEY=VALUE`);
      typed = { ...typed, method: oneOf(METHODS)(field === "lint" ? "check" : field, option) };
    } else if (key === "format") typed = { ...typed, format: oneOf(FORMATS)(value, `${option} format=`) };
    else if (key === "ignorestatus") typed = { ...typed, ignoreStatus: boolean(value, `${option} ignorestatus=`) };
    else throw badValue(option, text, `there is no ${key}`, "there are format= and ignorestatus=");
  }
  return typed;
};

/**
 * What `--call`, `--check` and `--format` come to together.
 * @throws KbuildError `usage.option` when they contradict each other
 */
export function callOf(typed: {
  readonly call?: TypedCall | undefined;
  readonly check?: boolean | undefined;
  readonly format?: Format | undefined;
}): Call {
  const { method: named } = typed.call ?? { method: undefined };
  if (typed.check === true && named !== undefined && named !== "check") {
    throw new KbuildError("usage.option", `--check and --call=${named} cannot both be done`, {
      hint: "--check is --call=check",
    });
  }
  const method = typed.check === true ? "check" : (named ?? "build");
  const format = typed.format ?? typed.call?.format;
  if (method === "build" && format !== undefined) {
    throw new KbuildError("usage.option", "a build has no format", {
      hint: "--format goes with --check or --call; --progress=json tells of a build as JSON",
    });
  }
  if (format === "sarif" && method !== "check") {
    throw new KbuildError("usage.option", `${method} cannot be told as SARIF, which is for findings`, {
      hint: "format=json",
    });
  }
  return { method, format: format ?? "text", ignoreStatus: typed.call?.ignoreStatus ?? false };
}
