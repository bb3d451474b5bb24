import type { AttributeName, Spec } from "../../bake/attributes.ts";
import { suggest } from "../../parser/suggest.ts";
import type { CacheSource, CacheTarget } from "../options.ts";
import type { Fault } from "./build-options.ts";

/** A cache that a target reads, as the engine knows it. */
export function cacheSourceOf(spec: Spec, fault: Fault): CacheSource {
  const reader = new SpecReader(spec, "cache-from", fault);
  switch (spec.type) {
    case "registry":
      reader.check("ref");
      return { type: "registry", ref: reader.needed("ref") };
    case "local":
      reader.check("src", "tag", "digest");
      return { type: "local", src: reader.needed("src"), tag: reader.text("tag"), digest: reader.text("digest") };
    default:
      throw fault("cache-from", `type=${String(spec.type)} is not supported yet`, KEEP);
  }
}

/** A cache that a target writes. */
export function cacheTargetOf(spec: Spec, fault: Fault): CacheTarget {
  const reader = new SpecReader(spec, "cache-to", fault);
  switch (spec.type) {
    case "inline":
      reader.check();
      return { type: "inline" };
    case "local": {
      reader.check("dest", "mode", "tag", "ignore-error");
      const mode = reader.text("mode") ?? "min";
      if (mode !== "min" && mode !== "max") throw fault("cache-to", `there is no mode ${mode}`, "there is min, max");
      const ignoreErrors = reader.text("ignore-error") === "true";
      return { type: "local", dest: reader.needed("dest"), mode, tag: reader.text("tag"), ignoreErrors };
    }
    default:
      throw fault("cache-to", `type=${String(spec.type)} is not supported yet`, KEEP);
  }
}

const KEEP = "type=local keeps the cache in a folder";

class SpecReader {
  readonly #spec: Spec;
  readonly #attribute: AttributeName;
  readonly #fault: Fault;

  constructor(spec: Spec, attribute: AttributeName, fault: Fault) {
    this.#spec = spec;
    this.#attribute = attribute;
    this.#fault = fault;
  }

  check(...keys: readonly string[]): void {
    for (const key of Object.keys(this.#spec)) {
      if (key === "type" || keys.includes(key)) continue;
      const near = suggest(key, keys);
      throw this.#fault(
        this.#attribute,
        `there is no ${key} here`,
        near === undefined ? undefined : `did you mean ${near}?`,
      );
    }
  }

  text(key: string): string | undefined {
    const value = this.#spec[key];
    return typeof value === "string" ? value : undefined;
  }

  needed(key: string): string {
    const value = this.text(key);
    if (value) return value;
    throw this.#fault(this.#attribute, `${key}= is missing`);
  }
}
