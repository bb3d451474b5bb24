import type { AnnotationOptions } from "../api.ts";
import { badValue, oneOf, type Parser } from "./values.ts";

const LEVELS = ["manifest", "index", "manifest-descriptor", "index-descriptor"] as const;

/** `[LEVEL[,LEVEL][[OS/ARCH]]:]KEY=VALUE`, one annotation for each level. docker buildx build, "--annotation". */
export const annotation: Parser<readonly AnnotationOptions[]> = (text, option) => {
  const equals = text.indexOf("=");
  if (equals < 1)
    throw badValue(option, text, "this must be KEY=VALUE", "--annotation org.opencontainers.image.title=web");
  const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
  const [, levels, key] = /^([a-z-]+(?:\[[^\]]*\])?(?:,[a-z-]+(?:\[[^\]]*\])?)*):(.*)$/s.exec(name) ?? [];
  if (levels === undefined || key === undefined) return [{ key: name, value }];
  if (key === "") throw badValue(option, text, "the key is missing");
  return levels.split(",").map((one) => {
    const [, level = "", platform] = /^([a-z-]+)(?:\[([^\]]*)\])?$/.exec(one) ?? [];
    return {
      level: oneOf(LEVELS)(level, `${option} ${text}:`),
      ...(platform === undefined ? {} : { platform }),
      key,
      value,
    };
  });
};
