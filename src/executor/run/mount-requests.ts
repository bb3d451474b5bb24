import { basename } from "node:path";
import { KbuildError, type Location } from "../../errors.ts";
import type { RunMount, Word } from "../../parser/instructions.ts";
import { type CheckedField, MOUNT_VALUES, type MountValue, type Sharing } from "../../parser/mount-values.ts";
import { joinAbsolute } from "../image-path.ts";

interface Common {
  /** Place of the mount, for messages about what it names. */
  readonly location: Location;
}

interface Placed extends Common {
  /** Absolute and clean, and never the root. */
  readonly target: string;
}

/** What a mount takes files from. */
interface Origin {
  /** As written: a stage, a named context or an image; undefined: the build context, for a cache nothing. */
  readonly from: Word | undefined;
  /** Absolute and clean, from the root of `from`. */
  readonly source: string;
}

interface Owned {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A `--mount` of RUN with its variables expanded and its defaults filled in: what is asked for, not yet what there is. */
export type MountRequest =
  | ({ readonly kind: "bind"; readonly writable: boolean } & Placed & Origin)
  | ({ readonly kind: "cache"; readonly id: string; readonly sharing: Sharing; readonly readOnly: boolean } & Placed &
      Origin &
      Owned)
  /** `size` in bytes; undefined: no limit of its own. */
  | ({ readonly kind: "tmpfs"; readonly size: number | undefined } & Placed)
  | SecretRequest
  /** `id` as `--ssh` names it, where it is `default` unless said otherwise. */
  | ({ readonly kind: "ssh"; readonly id: string; readonly required: boolean } & Placed & Owned);

export interface SecretRequest extends Common, Owned {
  readonly kind: "secret";
  readonly id: string;
  readonly required: boolean;
  /** Undefined: no file. */
  readonly target: string | undefined;
  /** The variable that has the secret's value; undefined: none. */
  readonly variable: string | undefined;
}

/**
 * Expands the mounts of a RUN. `directory` is the working directory, which targets are relative to. Dockerfile reference,
 * "RUN --mount".
 * @throws KbuildError `build.mount`, with the place, and what `expand` throws
 */
export function mountRequests(
  mounts: readonly RunMount[],
  directory: string,
  expand: (word: Word) => string,
): readonly MountRequest[] {
  let agents = 0;
  return mounts.map((mount) => {
    const reader = new MountReader(directory, expand);
    return reader.read(mount, () => `/run/buildkit/ssh_agent.${agents++}`);
  });
}

class MountReader {
  readonly #directory: string;
  readonly #expand: (word: Word) => string;

  constructor(directory: string, expand: (word: Word) => string) {
    this.#directory = directory;
    this.#expand = expand;
  }

  read(mount: RunMount, nextSocket: () => string): MountRequest {
    const { location } = mount;
    switch (mount.type) {
      case "bind": {
        const writable = !this.#isReadOnly(mount, true);
        return { kind: "bind", location, target: this.#target(mount), writable, ...this.#origin(mount) };
      }
      case "cache": {
        const origin = this.#origin(mount);
        if (origin.from === undefined && origin.source !== "/") {
          throw new KbuildError("build.mount", "a cache mount with source says nothing of where that is from", {
            location: mount.source?.location ?? location,
            hint: "add from=STAGE, or take source out: a new cache is empty",
          });
        }
        return {
          kind: "cache",
          location,
          target: this.#target(mount),
          id: this.#text(mount.id) || cleanId(this.#text(mount.target)),
          sharing: this.#value("sharing", mount.sharing) ?? "shared",
          readOnly: this.#isReadOnly(mount, false),
          ...origin,
          ...this.#owned(mount, 0o755),
        };
      }
      case "tmpfs":
        return { kind: "tmpfs", location, target: this.#target(mount), size: this.#value("size", mount.size) };
      case "secret":
        return this.#secret(mount);
      case "ssh": {
        // Numbers count all of the step's agents, those with a target of their own as well.
        const usual = nextSocket();
        return {
          kind: "ssh",
          location,
          id: this.#text(mount.id) || "default",
          target: this.#text(mount.target) === "" ? usual : this.#target(mount),
          required: this.#value("required", mount.required) ?? false,
          ...this.#owned(mount, 0o600),
        };
      }
    }
  }

  #secret(mount: Extract<RunMount, { type: "secret" }>): SecretRequest {
    const target = this.#text(mount.target);
    const id = this.#text(mount.id) || basename(target);
    if (id === "") {
      throw new KbuildError("build.mount", "the secret has no id", {
        location: mount.id?.location ?? mount.location,
        hint: "does the variable in it have a value?",
      });
    }
    const variable = this.#value("env", mount.env);
    const usual = variable === undefined ? joinAbsolute("/run/secrets", `./${basename(id)}`) : undefined;
    return {
      kind: "secret",
      location: mount.location,
      id,
      required: this.#value("required", mount.required) ?? false,
      target: target === "" ? usual : this.#target(mount),
      variable,
      ...this.#owned(mount, 0o400),
    };
  }

  #text(word: Word | undefined): string {
    return word === undefined ? "" : this.#expand(word);
  }

  #target(mount: RunMount): string {
    const target = joinAbsolute(this.#directory, this.#text(mount.target));
    if (target !== "/") return target;
    const isGiven = mount.target !== undefined;
    throw new KbuildError(
      "build.mount",
      'invalid mount target "/": nothing can be mounted over all of the file system',
      {
        location: mount.target?.location ?? mount.location,
        hint: isGiven ? "name a folder below it, as in target=/src" : "say where it is to be, as in target=/src",
      },
    );
  }

  #origin({ from, source }: { readonly from: Word | undefined; readonly source: Word | undefined }): Origin {
    return { from, source: joinAbsolute("/", this.#text(source)) };
  }

  #owned(mount: Extract<RunMount, { mode: unknown }>, mode: number): Owned {
    return {
      mode: this.#value("mode", mount.mode) ?? mode,
      uid: this.#value("uid", mount.uid) ?? 0,
      gid: this.#value("gid", mount.gid) ?? 0,
    };
  }

  #isReadOnly(mount: Extract<RunMount, { readOnly: unknown }>, usual: boolean): boolean {
    const readWrite = this.#value("readwrite", mount.readWrite);
    return this.#value("readonly", mount.readOnly) ?? (readWrite === undefined ? usual : !readWrite);
  }

  /** The value of a field that not every text fits. */
  #value<F extends CheckedField>(field: F, word: Word | undefined): MountValue<F> | undefined {
    if (word === undefined) return undefined;
    const text = this.#expand(word);
    const { parse, hint } = MOUNT_VALUES[field];
    const value = parse(text);
    if (value !== undefined) return value as MountValue<F>;
    const message = text === "" ? `--mount: ${field} is blank` : `--mount: ${field} cannot be ${JSON.stringify(text)}`;
    throw new KbuildError("build.mount", message, { location: word.location, hint });
  }
}

/** A cache without an id is known by its target as it is written, cleaned: `c` and `/w/c` are two. */
function cleanId(target: string): string {
  if (target.startsWith("/")) return joinAbsolute("/", target);
  return joinAbsolute("/", target).slice(1) || ".";
}
