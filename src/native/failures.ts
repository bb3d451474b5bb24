import { type ErrorCode, type ErrorDetails, KbuildError } from "../errors.ts";
import { showPath } from "../layers/path-bytes.ts";
import type { Failed, FailureCode, Request } from "./protocol.ts";

/** What failed: a request, or the core's way into its sandbox. */
type Operation = Request["op"] | "enter";

const CODES: Readonly<Record<FailureCode, ErrorCode>> = {
  notFound: "build.missingFile",
  denied: "build.unreadable",
  changed: "build.changed",
  hostile: "build.hostile",
  mismatch: "registry.mismatch",
  noSpace: "machine.diskFull",
  readOnly: "machine.readOnly",
  brokenPipe: "machine.brokenPipe",
  cancelled: "interrupted",
  notArchive: "build.notArchive",
  pattern: "build.pattern",
  sandbox: "machine.sandbox",
  exec: "build.command",
  mount: "build.mount",
  directory: "build.workdir",
  unmapped: "machine.ids",
  protocol: "internal.native",
  io: "machine.io",
};

/** What a request was doing, for failures that name no path. */
const DOING: Readonly<Record<Operation, string>> = {
  scan: "reading the context",
  pack: "writing a layer",
  ingest: "reading a layer",
  extract: "writing files",
  recompress: "compressing a layer",
  enter: "making the sandbox",
  probe: "trying the sandbox",
  unpack: "unpacking a layer",
  mark: "reading the step's files",
  diff: "finding what the step changed",
  remove: "removing files",
  move: "moving a layer's files",
  run: "running the step",
  data: "reading a layer",
  end: "reading a layer",
  cancel: "cancelling",
};

/** Turns a failed request into the error that people see. `written` are the paths that the request was to write. */
export function explainFailure(failed: Failed, operation: Operation, written: readonly string[]): KbuildError {
  const { code, path } = failed;
  const shown = path === undefined || path === "" ? undefined : showPath(path);
  const isWritten = path !== undefined && written.some((each) => path === each || path.startsWith(`${each}/`));
  const subject = shown ?? DOING[operation];
  const writing = shown === undefined || !isWritten ? DOING[operation] : `writing ${shown}`;
  const make = (message: string, details?: ErrorDetails): KbuildError => new KbuildError(CODES[code], message, details);
  switch (code) {
    case "notFound":
      return make(`${subject}: no such file or folder`);
    case "denied":
      if (isWritten) {
        return new KbuildError("machine.notWritable", `${writing}: permission denied`, {
          hint: "Choose a folder that this user may write, or set KBUILD_ROOT to one",
        });
      }
      return make(`${subject}: permission denied`, {
        hint: operation === "scan" || operation === "pack" ? "make it readable, or add it to .dockerignore" : undefined,
      });
    case "changed":
      return make(`${subject} was changed while it was read`, {
        hint: "build again once nothing writes to it any more",
      });
    case "noSpace":
      return make(`${writing}: the disk is full`, {
        hint: "Free some space, or set KBUILD_ROOT to a folder on another disk",
      });
    case "readOnly":
      return make(`${writing}: the file system is read-only`, {
        hint: "Set KBUILD_ROOT to a folder that can be written",
      });
    case "brokenPipe":
      return make("the program that reads the output has ended");
    case "cancelled":
      return make("the build was interrupted");
    case "protocol":
      return make(`the core of kbuild refused to go on: ${failed.message}`);
    case "pattern":
      return make(shown === undefined ? failed.message : `"${shown}": ${failed.message}`);
    case "sandbox":
      return make(`the sandbox cannot be made: ${failed.message}`, {
        hint: "kbuild doctor says what this machine lacks",
      });
    case "exec":
      return make(failed.message);
    case "mount":
      return make(failed.message, { hint: "give the mount another target, or remove what is there in a step before" });
    case "directory":
      return make(failed.message, { hint: "a step before has put something else there, or WORKDIR has another path" });
    case "unmapped":
      return make(shown === undefined ? failed.message : `${shown}: ${failed.message}`, {
        hint: "a wider range in /etc/subuid and /etc/subgid has them; with --isolation single none is needed",
      });
    case "hostile":
    case "mismatch":
    case "notArchive":
    case "io":
      return make(`${subject}: ${failed.message.replace(/ \(os error \d+\)$/, "")}`);
  }
}
