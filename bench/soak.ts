/**
 * Kills builds with -9 at random moments and looks at what is left: `npm run soak [-- OPTIONS]`. Builds run by turns in the four
 * situations of test/support/situations.ts; killed are by turns kbuild, the process that holds the sandbox, and the whole
 * process group. After each one no process and no mount may be left; after every tenth, and in the end, the store must pass
 * `kbuild fsck`, and the next build must give the image that an untouched store gives. The status is 0 only then.
 */
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { writeBase } from "../test/conformance/base.ts";
import { digestOf } from "../test/support/image-reader.ts";
import { descendants, mountsOf, pause, processes, processesOf, until } from "../test/support/processes.ts";
import { openSituations, type Situation } from "../test/support/situations.ts";
import { HOME, plant, workspace } from "../test/support/workspace.ts";

const HELP = `Usage: npm run soak -- [OPTIONS]

  --builds N          how many are killed (default 200)
  --situations A,B    of root, subordinate, single, container (default: all)
  --seed TEXT         makes the moments the same again (default: another one each time; it is printed)
`;

const EPOCH = "1700000000";
/** What is killed. */
const VICTIMS = ["kbuild", "sandbox", "group"] as const;
type Victim = (typeof VICTIMS)[number];

// Two stages side by side, layers of many files and of a large one, a cache mount, processes in the background.
const DOCKERFILE = `FROM busybox AS one
ENV SOAK=@FOLDER@
ARG NUMBER
RUN --mount=type=cache,target=/cache echo $NUMBER >>/cache/log; mkdir /many; cd /many; seq 1 1500 | xargs touch; rm -r /home
RUN dd if=/dev/zero of=/zeros bs=1M count=40 2>/dev/null; (setsid sleep 3600 >/dev/null 2>&1 &) ; chown -R 7:8 /many
FROM busybox
ENV SOAK=@FOLDER@
COPY data /data
RUN cp -r /data /copy && rm /data/1 && sleep 0.2
ARG NUMBER
RUN echo $NUMBER >/number; seq 1 20000 >/log; sleep 3601 & sleep 0.1
COPY --from=one /many /many
RUN ls /many | wc -l >/count
`;

interface Options {
  readonly builds: number;
  readonly names: readonly string[] | undefined;
  readonly seed: string;
}

/** A number from 0 to 1 that depends on nothing but the seed and the place. */
function chance(seed: string, ...place: readonly (string | number)[]): number {
  const hash = crypto
    .createHash("sha256")
    .update([seed, ...place].join("\0"))
    .digest();
  return hash.readUInt32LE(0) / 2 ** 32;
}

interface Ground {
  readonly folder: string;
  readonly context: string;
  readonly base: string;
  /** A copy of the core that no other process of the machine has as its program. */
  readonly native: string;
}

function build(ground: Ground, each: Situation, number: string, root = each.root) {
  const words = ["--build-context", `busybox=oci-layout://${ground.base}`, "--build-arg", `NUMBER=${number}`];
  const env = { SOURCE_DATE_EPOCH: EPOCH, KBUILD_NATIVE_PATH: ground.native, KBUILD_ROOT: root };
  return each.run(["--progress=plain", "-t", "soak:1", ...words, ground.context], { env });
}

/** Kills one build at a moment, and waits until nothing of it is left. */
async function killOne(
  ground: Ground,
  each: Situation,
  number: string,
  victim: Victim,
  after: number,
): Promise<boolean> {
  const building = build(ground, each, number);
  await pause(after);
  const fronts = processes().filter(
    ({ words }) => words.startsWith(process.execPath) && words.includes(ground.context),
  );
  for (const { pid } of fronts) {
    const all = descendants(pid);
    const pids = {
      kbuild: [pid],
      sandbox: all.filter(({ words }) => words.includes(" sandbox ")).map((one) => one.pid),
      // The processes that a terminal or a CI runner would kill: those in kbuild's own group. A step's are not in it.
      group: [pid, ...all.filter(({ words }) => words.includes("kbuild-native")).map((one) => one.pid)],
    }[victim];
    for (const one of pids) kill(one);
  }
  const done = await building;
  await until(
    "processes of a killed build end",
    () => processesOf(ground.folder).filter(isOurs).length === 0,
    15_000,
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${describe(ground)}`);
  });
  const mounts = mountsOf(each.root);
  if (mounts.length > 0) throw new Error(`mounts are left:\n${mounts.join("\n")}`);
  return done.status === 0;
}

/** The daemon and the container themselves live in the folder's name too. */
function isOurs({ words }: { readonly words: string }): boolean {
  return !/^(dockerd|\S*containerd|docker |runc)/.test(words);
}

function describe(ground: Ground): string {
  return processesOf(ground.folder)
    .filter(isOurs)
    .map(({ pid, parent, words }) => `  ${pid} (parent ${parent}) ${words.slice(0, 200)}`)
    .join("\n");
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended at the same moment.
  }
}

/** The store passes, and the next build gives what an untouched store gives. */
async function examine(ground: Ground, each: Situation, number: string): Promise<void> {
  await each.must(["fsck"], { env: { KBUILD_NATIVE_PATH: ground.native } });
  const fresh = path.join(each.folder, "fresh");
  for (const root of [each.root, fresh]) {
    const done = await build(ground, each, number, root);
    if (done.status !== 0) throw new Error(`the next build fails with status ${done.status}:\n${done.stderr}`);
  }
  const [found, expected] = [each.root, fresh].map((root) => digestOf(root, "soak:1"));
  if (found !== expected) throw new Error(`the next build gives ${found}, with an untouched store ${expected}`);
  fs.rmSync(fresh, { recursive: true, force: true });
  await each.must(["fsck"], { env: { KBUILD_NATIVE_PATH: ground.native } });
}

async function soak({ builds, names, seed }: Options): Promise<void> {
  const folder = workspace("kbuild-soak");
  const native = path.join(folder, "kbuild-native");
  fs.copyFileSync(path.join(HOME, "dist/kbuild-native"), native);
  fs.chmodSync(native, 0o755);
  const data = Object.fromEntries(
    Array.from({ length: 300 }, (_, number) => [`data/${number}`, `${number}\n`.repeat(number)]),
  );
  const context = plant(path.join(folder, "context"), {
    Dockerfile: DOCKERFILE.replaceAll("@FOLDER@", folder),
    ...data,
  });
  const base = path.join(folder, "busybox");
  await writeBase(base);
  const ground = { folder, context, base, native };
  const situations = await openSituations(folder);
  try {
    const taking = situations.all.filter(({ name }) => names?.includes(name) ?? true);
    const whole = new Map<Situation, number>();
    for (const each of taking) {
      await examine(ground, each, "first");
      const started = Date.now();
      await build(ground, each, "whole");
      whole.set(each, Date.now() - started);
    }
    let ended = 0;
    for (let number = 0; number < builds; number++) {
      const each = taking[number % taking.length];
      const victim = VICTIMS[Math.floor(number / taking.length) % VICTIMS.length];
      if (each === undefined || victim === undefined) throw new Error("there is no situation of that name");
      const after = Math.round(chance(seed, number) * (whole.get(each) ?? 0));
      try {
        if (await killOne(ground, each, `${number}`, victim, after)) ended++;
        if (number % 10 === 9) await examine(ground, each, `next ${number}`);
      } catch (error) {
        const where = `build ${number}, ${each.name}, ${victim} killed after ${after} ms (--seed ${seed})`;
        throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
      if (process.stderr.isTTY || number % 20 === 19) process.stderr.write(`${number + 1} of ${builds} killed\n`);
    }
    for (const each of taking) await examine(ground, each, "last");
    process.stdout.write(
      `${builds} builds killed, ${ended} of them too late; every store passes fsck, nothing is left running or mounted, ` +
        `and the next build gives the right image (--seed ${seed})\n`,
    );
  } finally {
    await situations.close();
  }
}

function parse(argv: readonly string[]): Options | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      builds: { type: "string", default: "200" },
      situations: { type: "string" },
      seed: { type: "string", default: crypto.randomBytes(4).toString("hex") },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return "help";
  const builds = Number(values.builds);
  if (!Number.isSafeInteger(builds) || builds < 1) throw new Error(`--builds takes a number, not ${values.builds}`);
  return { builds, names: values.situations?.split(","), seed: values.seed };
}

const options = parse(process.argv.slice(2));
if (options === "help") process.stdout.write(HELP);
else await soak(options);
