import type { RegistryClient } from "../oci/registry/client.ts";

/** What a build's registry client is made with. */
export interface RegistriesOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly insecureRegistries: readonly string[];
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
}

/** The registry client of a build, loaded and made when it is first needed: most builds find their bases in the store. */
export class Registries {
  readonly #options: RegistriesOptions;
  #client: Promise<RegistryClient> | undefined;

  constructor(options: RegistriesOptions) {
    this.#options = options;
  }

  client(): Promise<RegistryClient> {
    this.#client ??= this.#make();
    return this.#client;
  }

  async close(): Promise<void> {
    // A client that could not be made has told so to whoever asked for it.
    await (await this.#client?.catch(() => undefined))?.close();
  }

  async #make(): Promise<RegistryClient> {
    const { env, insecureRegistries, signal, warn } = this.#options;
    const { RegistryClient } = await import("../oci/registry/client.ts");
    return new RegistryClient({ env, insecureRegistries, signal, onWarning: warn });
  }
}
