import type { CheckReport, Location, Outline, TargetList } from "../../api.ts";
import { REQUEST_VERSION, REQUESTS } from "./call-text.ts";
import { lineRanges } from "./line-ranges.ts";

// The shapes of BuildKit's frontend subrequests, so that what reads docker's answers reads these. Left out: links, and the
// definition of the source, which is of use to BuildKit alone.

const jsonLocation = (location: Location): object => ({ ranges: lineRanges(location) });

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** BuildKit's `lint.LintResults`. */
export function checkJson({ file, source, findings, error }: CheckReport): object {
  return {
    warnings: findings.map(({ rule, description, message, location }) => ({
      ruleName: rule,
      description,
      detail: message,
      location: jsonLocation(location),
    })),
    sources: [{ filename: file, language: "Dockerfile", data: base64(source) }],
    ...(error === undefined
      ? {}
      : {
          buildError: {
            message: error.message,
            location: error.location === undefined ? {} : jsonLocation(error.location),
          },
        }),
  };
}

/** BuildKit's `outline.Outline`; what is blank is left out there, too. */
export function outlineJson({ name, description, args, secrets, ssh, source }: Outline): object {
  const needs = (list: Outline["secrets"]) =>
    list.length === 0
      ? undefined
      : list.map((one) => ({
          name: one.name,
          required: one.required || undefined,
          location: jsonLocation(one.location),
        }));
  return {
    name,
    description,
    args:
      args.length === 0
        ? undefined
        : args.map((one) => ({
            name: one.name,
            description: one.description,
            value: one.value || undefined,
            location: jsonLocation(one.location),
          })),
    secrets: needs(secrets),
    ssh: needs(ssh),
    sources: [base64(source)],
  };
}

/** BuildKit's `targets.List`. */
export function targetsJson({ targets, source }: TargetList): object {
  return {
    targets: targets.map((target) => ({
      name: target.name,
      default: target.default || undefined,
      description: target.description,
      base: target.base,
      platform: target.platform,
      location: jsonLocation(target.location),
    })),
    sources: [base64(source)],
  };
}

/** BuildKit's list of `subrequests.Request`. */
export function requestsJson(): object {
  return REQUESTS.map(({ name, description, opts }) => ({
    name: `frontend.${name}`,
    version: REQUEST_VERSION,
    type: "rpc",
    description,
    opts: opts.map((one) => ({ name: one })),
    metadata: [{ name: "result.json" }, { name: "result.txt" }],
  }));
}
