import { KbuildError } from "../../errors.ts";

/** What was being done when the file system refused, for the words of the error. */
export interface FaultContext {
  /** Begins the message, as in "writing the archive web.tar": the reason follows after a colon. */
  readonly doing: string;
  /** Whether the file belongs to kbuild's store: then the hints are about the store. */
  readonly store?: boolean;
}

/**
 * Turns an error of the file system into one for people. The only place where ENOSPC and its like get their meaning:
 *
 * - `machine.diskFull` ENOSPC, EDQUOT
 * - `machine.readOnly` EROFS
 * - `machine.storeNotWritable`, `machine.notWritable` EACCES, EPERM
 * - `machine.openFiles` EMFILE, ENFILE
 * - `machine.io` every other
 *
 * A KbuildError comes back as it is, so that it is safe to use around code that throws both.
 */
export function explainFault(error: unknown, context: FaultContext): KbuildError {
  if (error instanceof KbuildError) return error;
  const { doing, store = false } = context;
  const where = store ? ", or set KBUILD_ROOT to a folder on another disk" : "";
  switch (errnoOf(error)) {
    case "ENOSPC":
      return new KbuildError("machine.diskFull", `${doing}: the disk is full`, {
        hint: `Free some space${where}`,
        cause: error,
      });
    case "EDQUOT":
      return new KbuildError("machine.diskFull", `${doing}: the disk quota is used up`, {
        hint: `Free some space${where}`,
        cause: error,
      });
    case "EROFS":
      return new KbuildError("machine.readOnly", `${doing}: the file system is read-only`, {
        hint: store ? "Set KBUILD_ROOT to a folder that can be written" : undefined,
        cause: error,
      });
    case "EACCES":
    case "EPERM":
      return new KbuildError(
        store ? "machine.storeNotWritable" : "machine.notWritable",
        `${doing}: permission denied`,
        {
          hint: store ? "Set KBUILD_ROOT to a folder that this user may write" : undefined,
          cause: error,
        },
      );
    case "EMFILE":
    case "ENFILE":
      return new KbuildError("machine.openFiles", `${doing}: too many files are open`, {
        hint: "Raise the limit of open files (ulimit -n)",
        cause: error,
      });
    default:
      return new KbuildError("machine.io", `${doing}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Runs `action`; what the file system throws in it comes out as {@link explainFault} has it. */
export function explainingFaults<T>(context: FaultContext, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw explainFault(error, context);
  }
}

/** `ENOENT` and the like; undefined when the error is not one of the system. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Node's message ends with the call and its paths, which `doing` has said already. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const match = /^E[A-Z0-9]+: ([^,]+),/.exec(message);
  return match?.[1] ?? message;
}

/** {@link explainFault} for a file of the store. */
export function storeFault(error: unknown, path: string): KbuildError {
  return explainFault(error, { doing: `the store's ${path}`, store: true });
}
