import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { KbuildError } from "../errors.ts";

const NAME = "kbuild-native";

/**
 * The path of the Rust core: what `KBUILD_NATIVE_PATH` names; else the one in `dist`, beside the bundle or, when kbuild
 * runs from its sources, at the root of the checkout; else the one of the npm package for this platform.
 * @throws KbuildError `machine.noNative`
 */
export function nativePath(env: NodeJS.ProcessEnv = process.env): string {
  const given = env.KBUILD_NATIVE_PATH;
  if (given !== undefined && given !== "") {
    const path = resolve(given);
    if (existsSync(path)) return path;
    throw new KbuildError("machine.noNative", `KBUILD_NATIVE_PATH names ${path}, which is not there`);
  }
  const here = dirname(fileURLToPath(import.meta.url));
  const built = import.meta.url.endsWith(".ts") ? join(here, "../../dist", NAME) : join(here, NAME);
  if (existsSync(built)) return built;
  const platform = `${process.platform}-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(`@kbuild/${platform}/bin/${NAME}`);
  } catch (cause) {
    throw new KbuildError("machine.noNative", `the core of kbuild for ${platform} is not installed`, {
      hint: `install the npm package @kbuild/${platform} (it is left out by npm's --no-optional), or let KBUILD_NATIVE_PATH name the core`,
      cause,
    });
  }
}
