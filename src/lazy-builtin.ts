import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/**
 * One of Node's own modules, loaded at its first use. For those that take longer to load than a cached build has time
 * for, and that most builds never need.
 */
export function lazyBuiltin<T>(name: `node:${string}`): () => T {
  let loaded: { readonly module: T } | undefined;
  return () => {
    loaded ??= { module: require(name) as T };
    return loaded.module;
  };
}
