/**
 * The four situations that kbuild is to build in with no option given, each with everything that makes it what it is: root on
 * the machine; a user with subordinate ids; a user without; root in a container of docker with nothing but its defaults.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { baseMembers, type Member, tarOf } from "../conformance/base.ts";
import { type Account, makeAccount } from "./accounts.ts";
import { type CommandOptions, KBUILD, type Outcome, run } from "./command.ts";
import { type Dockerd, startDockerd } from "./dockerd.ts";
import { HOME } from "./workspace.ts";

export type SituationName = "root" | "subordinate" | "single" | "container";

export interface Situation {
  readonly name: SituationName;
  /** The mode that kbuild is to find by itself. */
  readonly mode: "userns" | "single" | "chroot";
  /** A folder that kbuild may write to there. It has the same path in all situations' eyes, the container's included. */
  readonly folder: string;
  /** The store, a folder in `folder`. */
  readonly root: string;
  /** Runs kbuild there, whatever the status. `cwd` is {@link folder} unless told; `uid` and `gid` are not looked at. */
  run(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Throws unless the status is 0. */
  must(argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
  /** Runs any program as kbuild is run there. */
  program(program: string, argv: readonly string[], options?: CommandOptions): Promise<Outcome>;
}

export interface Situations {
  readonly all: readonly Situation[];
  readonly docker: Dockerd;
  of(name: SituationName): Situation;
  close(): Promise<void>;
}

const IMAGE = "kbuild-test-machine";
const PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Opens all four. What the builds read (contexts, bases) is to be in `folder`, which everybody may read. Throws when one of
 * them cannot be had here: none of them may be left out.
 */
export async function openSituations(folder: string): Promise<Situations> {
  if (process.getuid?.() !== 0) throw new Error("the four situations take root to make");
  const wanted = wantedNames();
  const docker = await startDockerd();
  try {
    const box = await container(folder, docker);
    const every = [
      here(folder),
      account(folder, "subordinate", makeAccount("subordinate")),
      account(folder, "single", makeAccount("plain")),
      box.situation,
    ];
    const all = every.filter(({ name }) => wanted === undefined || wanted.includes(name));
    return {
      all,
      docker,
      of(name) {
        const found = all.find((each) => each.name === name);
        if (!found) throw new Error(`no situation ${name}`);
        return found;
      },
      // The accounts end with the test process.
      async close() {
        await docker.try(["kill", box.id]);
        await docker.stop();
      },
    };
  } catch (error) {
    await docker.stop();
    throw error;
  }
}

/** For looking into one: KBUILD_TEST_SITUATIONS names those that are wanted, `root,single`. CI leaves none out. */
function wantedNames(): readonly string[] | undefined {
  const names = process.env.KBUILD_TEST_SITUATIONS?.split(",");
  if (names === undefined) return undefined;
  if (process.env.CI && process.env.CI !== "false") throw new Error("CI tries all situations");
  console.log(`only in the situations ${names.join(", ")}`);
  return names;
}

function situation(
  name: SituationName,
  mode: Situation["mode"],
  folder: string,
  program: Situation["program"],
): Situation {
  const root = path.join(folder, "store");
  const withRoot = (options: CommandOptions = {}): CommandOptions => ({
    ...options,
    env: { KBUILD_ROOT: root, ...options.env },
  });
  const each: Situation = {
    name,
    mode,
    folder,
    root,
    program,
    run: (argv, options) => program(process.execPath, [KBUILD, ...argv], withRoot(options)),
    async must(argv, options) {
      const done = await each.run(argv, options);
      if (done.status === 0) return done;
      throw new Error(
        `${name}: kbuild ${argv.join(" ")}: ${done.signal ?? `status ${done.status}`}\n${done.stdout}${done.stderr}`,
      );
    },
  };
  return each;
}

function ownFolder(folder: string, name: string): string {
  const own = path.join(folder, name);
  fs.mkdirSync(own);
  return own;
}

/** (a) Root on the machine. */
function here(folder: string): Situation {
  const own = ownFolder(folder, "root");
  return situation("root", "userns", own, (program, argv, options = {}) =>
    run(program, argv, { cwd: own, ...options, env: { HOME: own, ...options.env } }),
  );
}

/** (b) and (c): a user of the machine, with its groups, and none of root's. */
function account(folder: string, name: "subordinate" | "single", { name: user, uid, gid }: Account): Situation {
  const own = ownFolder(folder, name);
  fs.chownSync(own, uid, gid);
  const become = [`--reuid=${uid}`, `--regid=${gid}`, "--init-groups"];
  return situation(name, name === "single" ? "single" : "userns", own, (program, argv, options = {}) => {
    const { uid: _uid, gid: _gid, ...rest } = options;
    return run("setpriv", [...become, program, ...argv], {
      cwd: own,
      ...rest,
      env: { HOME: own, USER: user, LOGNAME: user, ...options.env },
    });
  });
}

/** (d) Root in a container that nothing was added to: docker's capabilities, its seccomp profile, its masked paths. */
async function container(
  folder: string,
  docker: Dockerd,
): Promise<{ readonly id: string; readonly situation: Situation }> {
  const own = ownFolder(folder, "container");
  await docker.run(["import", "-", IMAGE], { input: await machine() });
  // The checkout and what is to be built are volumes. So is the store, as it is where CI keeps one between builds.
  const volumes = ["-v", `${folder}:${folder}`, "-v", `${HOME}:${HOME}:ro`];
  // A shell that waits for whatever is left to it, as the first process of a machine does.
  const idle = ["sh", "-c", "while :; do sleep 1; done"];
  const started = await docker.run(["run", "-d", "--rm", "--network", "host", ...volumes, IMAGE, ...idle]);
  const id = started.stdout.trim();
  const inspected = await docker.run(["inspect", "--format", "{{.HostConfig.Privileged}} {{.HostConfig.CapAdd}}", id]);
  if (inspected.stdout.trim() !== "false []") throw new Error(`not a default container: ${inspected.stdout}`);
  const inside = situation("container", "chroot", own, (program, argv, options = {}) => {
    const { env = {}, cwd, uid: _uid, gid: _gid, ...rest } = options;
    const words = ["exec", "-w", cwd ?? own, "-e", `PATH=${PATHS}`];
    if (options.input !== undefined) words.push("-i");
    // A name alone: the value comes from the client's environment, so that no secret stands on its command line.
    for (const [name, value] of Object.entries(env)) if (value !== undefined) words.push("-e", name);
    return docker.try([...words, id, program, ...argv], { ...rest, env });
  });
  return { id, situation: inside };
}

/** The tar of a small machine's root: busybox, this machine's node, and the libraries of it and of what it loads. */
async function machine(): Promise<Buffer> {
  const modules = path.join(HOME, "node_modules/@napi-rs");
  const loaded = (fs.readdirSync(modules, { recursive: true }) as string[])
    .filter((name) => name.endsWith(".node"))
    .map((name) => path.join(modules, name));
  const libraries = [process.execPath, ...loaded].flatMap(librariesOf);
  const extra = ["/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf"].filter((file) => fs.existsSync(file));
  const files = new Set([process.execPath, ...libraries, ...extra]);
  const members: Member[] = [...files].map((file) => ({
    name: file.slice(1),
    type: "file",
    mode: 0o755,
    data: fs.readFileSync(file),
  }));
  return tarOf([...baseMembers(), ...withFolders(members)]);
}

export function librariesOf(program: string): string[] {
  const listed = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return [...listed.matchAll(/\/\S+/g)].map(([file]) => file).filter((file) => file !== program && fs.existsSync(file));
}

/** The members with the folders that they need, which the base does not have, before them. */
export function withFolders(members: readonly Member[]): Member[] {
  const known = new Set(baseMembers().map(({ name }) => name));
  const all: Member[] = [];
  const add = (folder: string): void => {
    if (folder === "." || known.has(folder)) return;
    add(path.dirname(folder));
    known.add(folder);
    all.push({ name: folder, type: "directory", mode: 0o755 });
  };
  for (const member of members) {
    add(path.dirname(member.name));
    known.add(member.name);
    all.push(member);
  }
  return all;
}

/** Runs something in all of them at once; the first that fails is told with its situation. */
export function inEach<T>(
  situations: readonly Situation[],
  action: (situation: Situation) => Promise<T>,
): Promise<ReadonlyMap<SituationName, T>> {
  return Promise.all(
    situations.map(async (each): Promise<[SituationName, T]> => {
      try {
        return [each.name, await action(each)];
      } catch (error) {
        throw new Error(`situation ${each.name}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }),
  ).then((results) => new Map(results));
}
