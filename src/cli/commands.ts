import { KbuildError, suggest } from "../api.ts";
import type { Command } from "./command.ts";

export interface CommandEntry {
  /** All of its names; the first is the one that help uses. */
  readonly names: readonly string[];
  readonly about: string;
  readonly load: () => Promise<Command>;
}

/** All commands. A command's file is loaded only when it is the one that runs. */
export const commands: readonly CommandEntry[] = [
  {
    names: ["build", "image build", "buildx build", "builder build"],
    about: "Build an image from a Dockerfile (the default: kbuild -t NAME . builds)",
    load: async () => (await import("./build.ts")).buildCommand,
  },
  {
    names: ["check"],
    about: "Check a Dockerfile without building it",
    load: async () => (await import("./check.ts")).checkCommand,
  },
  {
    names: ["bake", "buildx bake", "buildx f"],
    about: "Build the targets of docker-bake.hcl, docker-bake.json or compose files",
    load: async () => (await import("./bake.ts")).bakeCommand,
  },
  {
    names: ["image ls", "images", "image list"],
    about: "List images",
    load: async () => (await import("./image-ls.ts")).imageLsCommand,
  },
  {
    names: ["history", "image history"],
    about: "Show how an image came about, newest first",
    load: async () => (await import("./history.ts")).historyCommand,
  },
  {
    names: ["inspect", "image inspect"],
    about: "Show everything about images, as JSON",
    load: async () => (await import("./inspect.ts")).inspectCommand,
  },
  {
    names: ["save", "image save"],
    about: "Write images to an archive that docker load and others take",
    load: async () => (await import("./save.ts")).saveCommand,
  },
  {
    names: ["tag", "image tag"],
    about: "Give an image further names",
    load: async () => (await import("./tag.ts")).tagCommand,
  },
  {
    names: ["rmi", "image rm", "image remove"],
    about: "Remove images",
    load: async () => (await import("./rmi.ts")).rmiCommand,
  },
  {
    names: ["run"],
    about: "Run a command in the files of a step that failed (build --keep-failed)",
    load: async () => (await import("./run-failed.ts")).runFailedCommand,
  },
  {
    names: ["prune"],
    about: "Free the space of caches that nothing needs",
    load: async () => (await import("./prune.ts")).pruneCommand,
  },
  {
    names: ["doctor"],
    about: "Say how RUN is run on this machine, and what would make it better",
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
  {
    names: ["fsck"],
    about: "Check that everything in the store is whole",
    load: async () => (await import("./fsck.ts")).fsckCommand,
  },
  {
    names: ["version"],
    about: "Show the version",
    load: async () => (await import("./version.ts")).versionCommand,
  },
  {
    names: ["help"],
    about: "Explain a command",
    load: async () => (await import("./help.ts")).helpCommand(commands),
  },
];

/** Commands of docker that are not there yet. A folder of that name is built as `./run`. */
const LATER =
  "pull push load logs rm ps commit login logout import export diff exec create start stop kill cp system " +
  "compose manifest container volume network search attach wait top stats rename pause info events context builder buildx";
/** First words of commands of two words. */
const GROUPS = ["image", "buildx", "builder"];

export interface Invocation {
  readonly load: () => Promise<Command>;
  /** The arguments after the command's name. */
  readonly rest: readonly string[];
}

/** Finds what is to run: a command by its name, and without one `build`. */
export function findCommand(argv: readonly string[]): Invocation {
  let at = 0;
  while (argv[at] === "-D" || argv[at] === "--debug") at += 1;
  const globals = argv.slice(0, at);
  const [first, second] = argv.slice(at);
  if (first === undefined || first === "--help" || first === "-h") return entry("help", []);
  if (first === "--version" || first === "-v") return entry("version", ["--format", "kbuild version {{.Version}}"]);
  if (first.startsWith("-")) return entry("build", argv);
  if (GROUPS.includes(first)) return inGroup(first, second, argv.slice(at + 2), globals);
  const found = commands.find(({ names }) => names.includes(first));
  if (found) return { load: found.load, rest: [...argv.slice(at + 1), ...globals] };
  checkWord(first);
  return entry("build", argv);
}

function entry(name: string, rest: readonly string[]): Invocation {
  const found = commands.find(({ names }) => names[0] === name);
  if (found === undefined) throw new KbuildError("internal.command", `there is no command ${name}`);
  return { load: found.load, rest };
}

function inGroup(
  group: string,
  second: string | undefined,
  rest: readonly string[],
  globals: readonly string[],
): Invocation {
  const inside = commands.flatMap(({ names }) => names.filter((name) => name.startsWith(`${group} `)));
  if (second === undefined || second === "--help" || second === "-h") return entry("help", [group]);
  const found = commands.find(({ names }) => names.includes(`${group} ${second}`));
  if (found) return { load: found.load, rest: [...rest, ...globals] };
  const near = suggest(`${group} ${second}`, inside);
  throw new KbuildError("usage.command", `kbuild ${group} ${second} is not there${near ? "" : " yet"}`, {
    hint: near ? `did you mean kbuild ${near}?` : `there is ${inside.map((name) => `kbuild ${name}`).join(", ")}`,
  });
}

/** A word that is no command is the folder to build. Those that were more likely meant as commands are refused. */
function checkWord(word: string): void {
  if (/[./\\~:]|^-/.test(word)) return;
  if (LATER.split(" ").includes(word)) {
    throw new KbuildError("usage.notSupported", `kbuild ${word} is not supported yet`, {
      hint: `to build a folder of that name: kbuild ./${word}`,
    });
  }
  const near = suggest(
    word,
    commands.flatMap(({ names }) => names.filter((name) => !name.includes(" "))),
  );
  if (near === undefined) return;
  throw new KbuildError("usage.command", `${word} is not a command`, {
    hint: `did you mean kbuild ${near}? To build a folder of that name: kbuild ./${word}`,
  });
}
