import { KbuildError } from "../api.ts";

/**
 * Does something for each name, as docker's commands do: a name that is wrong keeps none of the others from its turn,
 * and all that went wrong is told at the end. Anything else (the store, the disk) ends it at once.
 *
 * @throws KbuildError of the first name that was wrong, with what was wrong with the others
 */
export async function forEachName(names: readonly string[], action: (name: string) => Promise<void>): Promise<void> {
  const errors = await failuresOf(names, action);
  if (errors !== undefined) throw errors;
}

/** The same, giving the error instead of throwing it. */
export async function failuresOf(
  names: readonly string[],
  action: (name: string) => Promise<void>,
): Promise<KbuildError | undefined> {
  const errors: KbuildError[] = [];
  for (const name of names) {
    try {
      await action(name);
    } catch (error) {
      if (!(error instanceof KbuildError) || !/^(?:build|usage)\./.test(error.code)) throw error;
      errors.push(error);
    }
  }
  const [first, ...others] = errors;
  if (first === undefined || others.length === 0) return first;
  const message = errors.map((error) => error.message).join("\n");
  return new KbuildError(first.code, message, { hint: first.hint, cause: first });
}
