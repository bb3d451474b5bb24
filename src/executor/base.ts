import { KbuildError } from "../errors.ts";
import { identityOf } from "../layers/identity.ts";
import { imageFromLayout } from "../oci/archive/read.ts";
import { type Image, imageFromStore } from "../oci/image.ts";
import type { Store } from "../oci/layout/store.ts";
import { choosePlatform, formatPlatform, runsOn } from "../oci/platform.ts";
import { canonicalName, parseReference, type Reference } from "../oci/reference.ts";
import type { RegistryClient } from "../oci/registry/client.ts";
import { isIndexType, parseConfig, parseIndex, parseManifest } from "../oci/shape.ts";
import type { Descriptor, DiffId, History, ImageConfig, Manifest, Platform } from "../oci/types.ts";
import { KEY_VERSION } from "./cache.ts";
import { contextName } from "./context-names.ts";
import type { Emitter, StepReporter } from "./emitter.ts";
import type { LayerBytes } from "./layer-pool.ts";
import type { ImageState, LayerReference } from "./state.ts";
import { SCRATCH_CONFIG } from "./state.ts";
import type { Tools } from "./tools.ts";

/** An image that a stage builds on or copies from, wherever it came from. */
export interface BaseImage {
  readonly config: ImageConfig;
  readonly configDigest: string;
  readonly layers: readonly LayerReference[];
  /** Whether its layers come over the network: then they are shown as a pull. */
  readonly bytesOf: ((layer: Descriptor) => LayerBytes) | undefined;
  /** What the FROM step is called: with the digest when there is one. */
  readonly label: string;
  /** Present when it came from a registry: the name to keep it by in the store once all of it is there. */
  readonly pulled: { readonly reference: Reference; readonly descriptor: Descriptor } | undefined;
}

/** What the finder is told besides the tools. */
export interface BaseFinderOptions {
  readonly pull: boolean;
  readonly buildContexts: ReadonlyMap<string, string>;
  /** Opened at the first need, because most builds have none. */
  readonly registry: () => Promise<RegistryClient>;
}

/** Finds images: in named contexts, then in the store, then in a registry. */
export class BaseFinder {
  readonly #tools: Tools;
  readonly #emitter: Emitter;
  readonly #options: BaseFinderOptions;
  readonly #found = new Map<string, Promise<BaseImage>>();

  constructor(tools: Tools, emitter: Emitter, options: BaseFinderOptions) {
    this.#tools = tools;
    this.#emitter = emitter;
    this.#options = options;
  }

  /**
   * The image of a name for a platform; asked for once, however many stages use it.
   * @throws KbuildError `build.reference`, `registry.*`
   */
  image(name: string, platform: Platform): Promise<BaseImage> {
    const key = `${name} ${formatPlatform(platform)}`;
    let found = this.#found.get(key);
    if (found === undefined) {
      found = this.#find(name, platform);
      this.#found.set(key, found);
    }
    return found;
  }

  /**
   * Begins to bring in the layers that the store lacks, shown under the given step, which ends with them. Whoever needs
   * a layer waits for it by itself; so nobody waits here, and what goes wrong is told there. With `runs` a process will
   * run on them, and so they are unpacked while they come in.
   */
  fetchLayers(base: BaseImage, reporter: StepReporter, runs: boolean): void {
    reporter.start();
    const isThere = base.layers.every((layer) => this.#tools.store.hasBlob(layer.blob));
    for (const layer of base.layers) {
      const bytes = base.bytesOf?.(layer.blob);
      if (bytes === undefined) continue;
      const part = layer.blob.digest;
      this.#tools.pool.fetch(
        layer,
        bytes,
        (done, finished) => reporter.progress({ part, done, total: layer.blob.size, unit: "bytes", finished }),
        runs ? () => this.#tools.worker.unpackerOf(layer.diffId) : undefined,
      );
    }
    this.#tools.pool.arrived(base.layers).then(
      () => reporter.finish({ status: isThere ? "cached" : "done" }),
      () => reporter.finish({ status: this.#tools.signal.aborted ? "cancelled" : "failed" }),
    );
  }

  /** Gives the images that were pulled their names in the store. To be called once all layers are there. */
  async keepNames(): Promise<void> {
    for (const { pulled } of await Promise.all(this.#found.values())) {
      if (pulled !== undefined) await this.#tools.store.tag([pulled.reference], pulled.descriptor);
    }
  }

  async #find(name: string, platform: Platform): Promise<BaseImage> {
    const context = this.#options.buildContexts.get(contextName(name));
    if (context?.startsWith("oci-layout://")) return this.#fromLayout(name, context, platform);
    const wanted = context?.startsWith("docker-image://") ? context.slice("docker-image://".length) : name;
    const reference = parseReference(wanted, "build.reference");
    const canonical = canonicalName(reference);
    if (!this.#options.pull || reference.digest !== undefined) {
      const stored = this.#fromStore(reference, platform);
      if (stored !== undefined) return stored;
    }
    return this.#emitter.run({ name: `[internal] load metadata for ${canonical}`, kind: "internal" }, async () => {
      const registry = await this.#options.registry();
      const resolved = await registry.resolve(reference, platform);
      const { store } = this.#tools;
      store.writeBlob(resolved.manifestBytes, resolved.descriptor.mediaType);
      store.writeBlob(resolved.configBytes, resolved.manifest.config.mediaType);
      const { indexBytes, indexDescriptor } = resolved;
      if (indexBytes !== undefined && indexDescriptor !== undefined)
        store.writeBlob(indexBytes, indexDescriptor.mediaType);
      const base = baseOf(canonical, resolved.descriptor, resolved.manifest, resolved.config);
      return {
        ...base,
        bytesOf: (layer: Descriptor): LayerBytes => ({
          kind: "stream",
          open: () => registry.blob(resolved.reference, layer, { signal: this.#tools.signal }),
        }),
        pulled: { reference, descriptor: indexDescriptor ?? resolved.descriptor },
      };
    });
  }

  /** The image of that name in the store, if it is there whole and for that platform. */
  #fromStore(reference: Reference, platform: Platform): BaseImage | undefined {
    const { store } = this.#tools;
    const descriptor = store.find(reference);
    if (descriptor === undefined) return undefined;
    const documents = this.#documents(descriptor, platform);
    if (documents === undefined) return undefined;
    const { manifest, config } = documents;
    if (config.architecture !== platform.architecture || !runsOn(config, platform)) return undefined;
    if ([manifest.config, ...manifest.layers].some((blob) => !store.useBlob(blob))) return undefined;
    return baseOf(canonicalName(reference), descriptor, manifest, config);
  }

  #documents(descriptor: Descriptor, platform: Platform): { manifest: Manifest; config: ImageConfig } | undefined {
    const { store, cache } = this.#tools;
    const key = formatPlatform(platform);
    const known = cache.documents(descriptor.digest, key);
    if (known !== undefined && store.useBlob(descriptor)) {
      const complain = (reason: string) => store.blobs.complain(`what is kept of ${descriptor.digest}: ${reason}`);
      return {
        manifest: parseManifest(Buffer.from(known.manifest), complain),
        config: parseConfig(Buffer.from(known.config), complain),
      };
    }
    const image = storedImage(store, descriptor, platform);
    if (image === undefined) return undefined;
    const { manifest, config, manifestBytes, configBytes } = image;
    cache.putDocuments(descriptor.digest, key, { manifest: manifestBytes.toString(), config: configBytes.toString() });
    return { manifest, config };
  }

  async #fromLayout(name: string, context: string, platform: Platform): Promise<BaseImage> {
    const image = await imageFromLayout(context, platform);
    const { store } = this.#tools;
    store.writeBlob(image.manifestBytes, image.descriptor.mediaType);
    store.writeBlob(image.configBytes, image.manifest.config.mediaType);
    return {
      ...baseOf(name, image.descriptor, image.manifest, image.config),
      bytesOf: (layer) => ({ kind: "file", path: image.blobPath(layer.digest) }),
    };
  }
}

function baseOf(name: string, descriptor: Descriptor, manifest: Manifest, config: ImageConfig): BaseImage {
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length) {
    throw new KbuildError(
      "registry.invalid",
      `${name} has ${manifest.layers.length} layers but ${diffIds.length} diffIDs`,
    );
  }
  return {
    config,
    configDigest: manifest.config.digest,
    layers: manifest.layers.map((blob, index) => ({ diffId: diffIds[index] as DiffId, blob })),
    bytesOf: undefined,
    pulled: undefined,
    label: name.includes("@") ? name : `${name}@${descriptor.digest}`,
  };
}

/** What a name of the store leads to; undefined when an index there has nothing for the platform, or it was not pulled. */
export function storedImage(store: Store, descriptor: Descriptor, platform: Platform): Image | undefined {
  if (!isIndexType(descriptor.mediaType)) return imageFromStore(store, descriptor, platform);
  const index = parseIndex(store.readBlob(descriptor.digest), (reason) =>
    store.blobs.complain(`the index ${descriptor.digest}: ${reason}`),
  );
  const chosen = choosePlatform(index.manifests, platform);
  return chosen === undefined || !store.hasBlob(chosen) ? undefined : imageFromStore(store, chosen, platform);
}

/** What a stage starts with that builds on an image. Its ONBUILD triggers are taken out: they run now. */
export function stateOfImage(base: BaseImage): ImageState {
  const { config } = base.config;
  const { OnBuild: _, ...rest } = config ?? {};
  const hasPath = rest.Env?.some((pair) => pair.startsWith("PATH=")) === true;
  return {
    platform: {
      os: base.config.os,
      architecture: base.config.architecture,
      ...(base.config.variant === undefined ? {} : { variant: base.config.variant }),
      ...(base.config["os.version"] === undefined ? {} : { "os.version": base.config["os.version"] }),
    },
    snapshot: { layers: base.layers, content: identityOf(KEY_VERSION, "image", base.configDigest) },
    config: {
      ...rest,
      Env: hasPath ? (rest.Env ?? []) : [...(SCRATCH_CONFIG.Env ?? []), ...(rest.Env ?? [])],
      WorkingDir: rest.WorkingDir || "/",
    },
    author: base.config.author,
    history: historyOf(base.config),
  };
}

/**
 * The base's history, made to agree with its layers: tools leave it out, or count layers that are not there, and what
 * reads it pairs one with the other. OCI image-spec config.md, "history".
 */
function historyOf(config: ImageConfig): readonly History[] {
  const entries: History[] = [];
  let layers = 0;
  for (const entry of config.history ?? []) {
    const hasLayer = entry.empty_layer !== true && layers < config.rootfs.diff_ids.length;
    if (hasLayer) layers += 1;
    entries.push(hasLayer || entry.empty_layer === true ? entry : { ...entry, empty_layer: true });
  }
  for (; layers < config.rootfs.diff_ids.length; layers++) {
    entries.push({
      ...(config.created === undefined ? {} : { created: config.created }),
      comment: "layer of the base",
    });
  }
  return entries;
}

/** What `FROM scratch` starts with: nothing. */
export function scratchState(platform: Platform): ImageState {
  return {
    platform,
    snapshot: { layers: [], content: identityOf(KEY_VERSION, "scratch") },
    config: SCRATCH_CONFIG,
    author: undefined,
    history: [],
  };
}
