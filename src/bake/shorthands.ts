import { goBoolean } from "./values.ts";

/** Options that stand for a `--set`. */
export interface Shorthands {
  readonly push?: boolean | undefined;
  readonly load?: boolean | undefined;
  readonly noCache?: boolean | undefined;
  readonly pull?: boolean | undefined;
  readonly call?: string | undefined;
  readonly provenance?: string | undefined;
  readonly sbom?: string | undefined;
}

/** The overrides that they stand for; they come after those that were given. */
export function overridesOf({ push, load, noCache, pull, call, provenance, sbom }: Shorthands): string[] {
  return [
    ...(push === true ? ["*.push=true"] : []),
    ...(load === true ? ["*.load=true"] : []),
    ...(call === undefined || call === "build" ? [] : [`*.call=${call}`]),
    ...(noCache === undefined ? [] : [`*.no-cache=${noCache}`]),
    ...(pull === undefined ? [] : [`*.pull=${pull}`]),
    ...(sbom === undefined ? [] : [`*.attest=${canonicalAttest("sbom", sbom)}`]),
    ...(provenance === undefined ? [] : [`*.attest=${canonicalAttest("provenance", provenance)}`]),
  ];
}

/** `--sbom=true`, `--sbom=false` or `--sbom=generator=…` as an attestation. */
export function canonicalAttest(type: string, value: string): string {
  const isWanted = value === "" ? true : goBoolean(value);
  if (isWanted !== undefined) return isWanted ? `type=${type}` : `type=${type},disabled=true`;
  return `type=${type},${value}`;
}
