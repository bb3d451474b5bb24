import { KbuildError } from "../errors.ts";
import { formatPlatform, normalizePlatform, parsePlatform } from "../oci/platform.ts";
import type { Platform } from "../oci/types.ts";
import type { AnnotationLevel, AnnotationOptions } from "./options.ts";

/** Annotations of an image, as they were given. OCI image-spec annotations.md. */
export type Annotations = readonly ReadAnnotation[];

export interface ReadAnnotation extends Omit<AnnotationOptions, "platform"> {
  readonly level: AnnotationLevel;
  /** Undefined: for all. */
  readonly platform: Platform | undefined;
}

/**
 * Reads annotations for a build of these platforms.
 * @throws KbuildError `usage.annotation`
 */
export function readAnnotations(
  given: readonly AnnotationOptions[] | undefined,
  platforms: readonly Platform[],
): Annotations {
  return (given ?? []).map(({ level = "manifest", platform, key, value }) => {
    if (key === "")
      throw new KbuildError("usage.annotation", `the annotation ${JSON.stringify(`=${value}`)} has no key`);
    const isOfIndex = level === "index" || level === "index-descriptor";
    if (isOfIndex && platforms.length === 1) {
      throw new KbuildError("usage.annotation", `the annotation ${key} is for an index, and this build makes none`, {
        hint: "an index is made of several platforms; for one: --annotation manifest:KEY=VALUE",
      });
    }
    const read = platform === undefined ? undefined : parsePlatform(platform, "usage.annotation");
    if (isOfIndex && read !== undefined) {
      throw new KbuildError("usage.annotation", `the annotation ${key} is for an index, which has no platform`);
    }
    if (read !== undefined && !platforms.some((one) => isSame(one, read))) {
      throw new KbuildError("usage.annotation", `the annotation ${key} is for ${platform}, which is not built`, {
        hint: `built are ${platforms.map(formatPlatform).join(", ")}`,
      });
    }
    return { level, platform: read, key, value };
  });
}

/** What a document or a descriptor is to have; undefined: nothing. Of two with one key the later counts. */
export function descriptorAnnotations(
  annotations: Annotations,
  level: AnnotationLevel,
  platform?: Platform,
): Readonly<Record<string, string>> | undefined {
  const own = annotations.filter(
    (one) =>
      one.level === level && (one.platform === undefined || platform === undefined || isSame(one.platform, platform)),
  );
  return own.length === 0 ? undefined : Object.fromEntries(own.map(({ key, value }) => [key, value]));
}

function isSame(left: Platform, right: Platform): boolean {
  return formatPlatform(normalizePlatform(left)) === formatPlatform(normalizePlatform(right));
}
