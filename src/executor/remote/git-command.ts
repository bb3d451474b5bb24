import { spawn } from "node:child_process";
import { KbuildError } from "../../errors.ts";
import { printable } from "../../oci/registry/faults.ts";

/** With what rights git talks to a remote. None of it is seen in the list of processes. */
export interface GitAccess {
  /** Value of an `Authorization` header, for the remote's host alone. */
  readonly authorization: string | undefined;
  /** Socket of an ssh agent; undefined: the user's own. */
  readonly agent: string | undefined;
}

/** What git is run with. */
export interface GitCommand {
  readonly arguments: readonly string[];
  /** Folder that it runs in. */
  readonly cwd: string;
  /** Further variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Transports that it may use. */
  readonly protocols: "network" | "file" | "none";
  /** Settings, `name` and value, that are not to be seen by others. */
  readonly settings?: readonly (readonly [string, string])[];
}

/** What git said. */
export interface GitOutcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Settings that decide what files a commit has, or run what a repository brings. */
export const SAME_EVERYWHERE: readonly (readonly [string, string])[] = [
  ["core.autocrlf", "false"],
  ["core.symlinks", "true"],
  ["core.fileMode", "true"],
  ["core.hooksPath", "/dev/null"],
  ["core.logAllRefUpdates", "false"],
  ["advice.detachedHead", "false"],
  ["gc.auto", "0"],
  ["pack.threads", "1"],
  ["safe.directory", "*"],
  ["submodule.recurse", "false"],
];

/** As much as is kept of what git prints: lists of references can be long. */
const LARGEST_OUTPUT = 64 * 1024 * 1024;

/**
 * Runs this machine's git, without a terminal: it never asks. What it does to files depends on nothing but its arguments (a
 * user's own settings would make other files of the same commit); only where it talks to the network the user's settings
 * count, as they know of proxies, authorities and credentials.
 * @throws KbuildError `machine.noGit`, `interrupted`
 */
export function runGit(
  command: GitCommand,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<GitOutcome> {
  const { protocols, settings = [] } = command;
  const own = protocols === "network" ? {} : { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  const kept = Object.entries(env).filter(([name]) => !/^GIT_(?!SSH|SSL|PROXY|HTTP|ASKPASS|CONFIG_GLOBAL)/.test(name));
  const child = spawn("git", [...command.arguments], {
    cwd: command.cwd,
    stdio: ["ignore", "pipe", "pipe"],
    // A Ctrl-C of the terminal is kbuild's to answer; it ends git by itself, with all that git has started.
    detached: true,
    env: {
      ...Object.fromEntries(kept),
      ...(protocols === "network" ? sshOf(env) : {}),
      ...own,
      LC_ALL: "C",
      GIT_TERMINAL_PROMPT: "0",
      GIT_ALLOW_PROTOCOL: { network: "http:https:ssh:git", file: "file", none: "none" }[protocols],
      ...Object.fromEntries(
        settings.flatMap(([name, value], number) => [
          [`GIT_CONFIG_KEY_${number}`, name],
          [`GIT_CONFIG_VALUE_${number}`, value],
        ]),
      ),
      GIT_CONFIG_COUNT: String(settings.length),
      ...command.env,
    },
  });
  return new Promise((resolve, reject) => {
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const stop = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    };
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      signal.removeEventListener("abort", stop);
      const isMissing = cause.code === "ENOENT";
      reject(
        new KbuildError("machine.noGit", `git cannot be run: ${isMissing ? "it is not installed" : cause.message}`, {
          hint: "install git, or copy the files from a local folder",
          cause,
        }),
      );
    });
    child.on("close", (code) => {
      signal.removeEventListener("abort", stop);
      if (signal.aborted) reject(new KbuildError("interrupted", "the build was interrupted"));
      else resolve({ status: code ?? 1, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** Lines that tell what was going on, or what to do, and not why. */
const NO_REASON =
  /^(hint|warning|Cloning into|Please make sure|and the repository|clone of|Failed to clone|Could not read from remote)/;

/** What git gave as its reason, on one line. */
export function reasonOf({ stderr, status }: GitOutcome): string {
  const lines = stderr
    .split("\n")
    .map((line) => line.replace(/^(fatal|error|remote): /, "").trim())
    .filter((line) => line !== "" && !NO_REASON.test(line));
  // What does not fit is told first, and then what all could not be done therefore.
  const full = lines.find((line) => /no space left|disk quota/i.test(line));
  const reason = full ?? lines.at(-1) ?? `git ended with status ${status}`;
  return printable(reason.replace(/(\w:\/\/)[^/?#\s]*@/g, "$1xxxxx@"));
}

/** ssh must not ask either; who says how ssh is to be called has thought of that. */
function sshOf(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return env.GIT_SSH_COMMAND || env.GIT_SSH ? {} : { GIT_SSH_COMMAND: "ssh -o BatchMode=yes" };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const parts: Buffer[] = [];
  let total = 0;
  stream.on("data", (part: Buffer) => {
    total += part.length;
    if (total <= LARGEST_OUTPUT) parts.push(part);
  });
  return () => Buffer.concat(parts).toString("utf8");
}
