import type { RegistryClient } from "../oci/registry/client.ts";
import type { HttpFiles } from "../oci/registry/http-files.ts";

/** What a build's registry client is made with. */
export interface RegistriesOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly insecureRegistries: readonly string[];
  readonly signal: AbortSignal;
  readonly warn: (message: string) => void;
}

/** What a build talks to the network with, loaded and made when it is first needed: most builds find all in the store. */
export class Registries {
  readonly #options: RegistriesOptions;
  #client: Promise<RegistryClient> | undefined;
  #files: Promise<HttpFiles> | undefined;

  constructor(options: RegistriesOptions) {
    this.#options = options;
  }

  client(): Promise<RegistryClient> {
    this.#client ??= this.#make();
    return this.#client;
  }

  /** For files by HTTP that are no registry's. */
  files(): Promise<HttpFiles> {
    this.#files ??= this.#makeFiles();
    return this.#files;
  }

  async close(): Promise<void> {
    // A client that could not be made has told so to whoever asked for it.
    const clients = [this.#client, this.#files];
    await Promise.all(clients.map(async (client) => (await client?.catch(() => undefined))?.close()));
  }

  async #make(): Promise<RegistryClient> {
    const { env, insecureRegistries, signal, warn } = this.#options;
    const { RegistryClient } = await import("../oci/registry/client.ts");
    return new RegistryClient({ env, insecureRegistries, signal, onWarning: warn });
  }

  async #makeFiles(): Promise<HttpFiles> {
    const { env, insecureRegistries, signal } = this.#options;
    const { HttpFiles } = await import("../oci/registry/http-files.ts");
    return new HttpFiles({ env, insecureHosts: insecureRegistries, signal });
  }
}
