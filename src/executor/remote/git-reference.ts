/** What a name in a repository leads to. */
export interface FoundReference {
  readonly commit: string;
  /** The object that the name itself has: of an annotated tag the tag, else the commit. */
  readonly object: string;
  /** The reference's whole name; undefined when a commit was named. */
  readonly name: string | undefined;
}

/**
 * Finds a name in the output of `git ls-remote`: a whole reference, else a branch, else a tag, as `git checkout` prefers them;
 * without a name the default branch. Undefined when there is none.
 */
export function findReference(listing: string, ref: string | undefined): FoundReference | undefined {
  const objects = new Map<string, string>();
  for (const line of listing.split("\n")) {
    const [, object, name] = /^([0-9a-f]{40}|[0-9a-f]{64})\t(.+)$/.exec(line) ?? [];
    if (object !== undefined && name !== undefined) objects.set(name, object);
  }
  if (ref === undefined || ref === "HEAD") return found(objects, "HEAD");
  const names = ref.startsWith("refs/") ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${ref}`];
  for (const name of names) {
    const reference = found(objects, name);
    if (reference !== undefined) return reference;
  }
  return undefined;
}

/** gitrevisions(7): what `^{}` follows is the tag itself, and has the commit in it. */
function found(objects: ReadonlyMap<string, string>, name: string): FoundReference | undefined {
  const object = objects.get(name);
  return object === undefined ? undefined : { object, commit: objects.get(`${name}^{}`) ?? object, name };
}
