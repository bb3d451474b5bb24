import { KbuildError } from "../errors.ts";
import { formatPlatform, normalizePlatform, parsePlatform } from "../oci/platform.ts";
import type { Platform } from "../oci/types.ts";
import { suggest } from "../parser/suggest.ts";
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
  given: readonly (string | AnnotationOptions)[] | undefined,
  platforms: readonly Platform[],
): Annotations {
  const listed = (given ?? []).flatMap((one) => (typeof one === "string" ? parseAnnotation(one) : [one]));
  return listed.map(({ level = "manifest", platform, key, value }) => {
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

const LEVELS = ["manifest", "index", "manifest-descriptor", "index-descriptor"] as const;

/** One annotation for each level that a text names. docker buildx build, "--annotation". */
function parseAnnotation(text: string): readonly AnnotationOptions[] {
  const fail = (reason: string, hint?: string): KbuildError =>
    new KbuildError("usage.annotation", `the annotation ${JSON.stringify(text)}: ${reason}`, { hint });
  const equals = text.indexOf("=");
  if (equals < 1) throw fail("this must be KEY=VALUE", "for instance org.opencontainers.image.title=web");
  const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
  const [, levels, key] = /^([a-z-]+(?:\[[^\]]*\])?(?:,[a-z-]+(?:\[[^\]]*\])?)*):(.*)$/s.exec(name) ?? [];
  if (levels === undefined || key === undefined) return [{ key: name, value }];
  if (key === "") throw fail("the key is missing");
  return levels.split(",").map((one) => {
    const [, asked = "", platform] = /^([a-z-]+)(?:\[([^\]]*)\])?$/.exec(one) ?? [];
    const level = LEVELS.find((known) => known === asked);
    if (level !== undefined) return { level, platform, key, value };
    const near = suggest(asked, LEVELS);
    throw fail(
      `there is no level ${asked}`,
      near === undefined ? `there is ${LEVELS.join(", ")}` : `did you mean ${near}?`,
    );
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
