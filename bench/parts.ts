import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { NativeClient } from "../src/native/client.ts";

const HOME = path.join(import.meta.dirname, "..");
/** Where there is no disk to wait for. */
const MEMORY = fs.existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir();
const STORE = path.join(MEMORY, `kbuild-parts-${process.pid}`);

const PARSE_ROUNDS = 20;
const LINES = 5_000;
/** What parsing and planning them may take beyond a build of two lines, in milliseconds. */
const PARSE_LIMIT = 50;

const SCAN_ROUNDS = 7;
const FOLDERS = 2_000;
const FILES_EACH = 100;
/** What a scan may take, in times of what find does. */
const SCAN_LIMIT = 1.5;

/**
 * Builds the first stage of two Dockerfiles by turns: one has nothing else, the other 5,000 lines of stages behind it that
 * nobody needs but that are parsed and planned. The command line as it is shipped, from start to end. Gives a table.
 */
export function measureParse(signal: AbortSignal): Promise<string> {
  return inFolder(async (folder) => {
    const times = { short: [] as number[], long: [] as number[] };
    const first = "FROM scratch AS first\nENV A=b\n";
    const files = { short: first, long: first + longText() };
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.join(folder, name));
      fs.writeFileSync(path.join(folder, name, "Dockerfile"), text);
    }
    for (let round = -1; round < PARSE_ROUNDS; round++) {
      for (const name of ["short", "long"] as const) {
        signal.throwIfAborted();
        const time = timed(process.execPath, [
          ...[path.join(HOME, "dist/kbuild.cjs"), "build", "-q", "--target", "first"],
          path.join(folder, name),
        ]);
        // The first one fills the store.
        if (round >= 0) times[name].push(time);
      }
    }
    const over = times.long.map((time, round) => time - (times.short[round] ?? 0));
    // Whatever else the machine does only adds to a time: the least ones are nearest to what it costs.
    const least = Math.min(...times.long) - Math.min(...times.short);
    return [
      `Parsing and planning ${LINES} lines; ${PARSE_ROUNDS} rounds; ${PARSE_LIMIT} ms may be taken.`,
      "",
      "| build | median ms | least | most |",
      "| --- | --: | --: | --: |",
      row("of two lines", times.short),
      row(`of ${LINES} lines`, times.long),
      row("the difference", over),
      "",
      `The least times differ by ${least.toFixed(1)} ms. ${least <= PARSE_LIMIT ? "Within" : "**Over**"} the limit.`,
      "",
    ].join("\n");
  });
}

/** Stages as people write them, of all the instructions that are frequent. */
function longText(): string {
  const lines: string[] = [];
  for (let number = 0; lines.length < LINES; number++) {
    lines.push(
      ...(number % 20 === 0 ? [`FROM ${number === 0 ? "scratch" : `s${number - 20}`} AS s${number}`, ""] : []),
      `# Part ${number} of what is built`,
      `ENV NAME_${number}=value PATH="/opt/part-${number}/bin:$PATH"`,
      `RUN apt-get update && \\`,
      `    apt-get install -y --no-install-recommends package-${number} && \\`,
      "    rm -rf /var/lib/apt/lists/*",
      `COPY --chown=app:app src/part-${number} src/common /opt/part-${number}/`,
      `LABEL org.example.part-${number}="the part number ${number}"`,
      `WORKDIR /opt/part-${number}`,
      `CMD ["./run", "--part", "${number}"]`,
    );
  }
  return `${lines.slice(0, LINES).join("\n")}\n`;
}

/** Scans a tree of 200,000 files in memory, by turns with find, which prints as much of each. Gives a table. */
export function measureScan(signal: AbortSignal): Promise<string> {
  return inFolder(async (folder) => {
    const root = path.join(folder, "tree");
    for (let number = 0; number < FOLDERS; number++) {
      const parent = path.join(root, String(number % 40), String(number));
      fs.mkdirSync(parent, { recursive: true });
      for (let file = 0; file < FILES_EACH; file++) fs.writeFileSync(path.join(parent, `file-${file}.js`), "");
    }
    const client = new NativeClient();
    const ours: number[] = [];
    const theirs: number[] = [];
    try {
      for (let round = -1; round < SCAN_ROUNDS; round++) {
        signal.throwIfAborted();
        const find = timed("find", [root, "-printf", "%p\\t%y\\t%m\\t%U\\t%G\\t%s\\t%T@\\t%C@\\t%i\\t%D\\t%n\\t%l\\n"]);
        const start = performance.now();
        const selections = [{ segments: [], followLast: true }];
        const { table } = await client.scan({ root, selections, ignore: [], digest: false });
        const scan = performance.now() - start;
        if (table.length < FOLDERS * FILES_EACH) throw new Error("the scan has not found everything");
        if (round < 0) continue;
        ours.push(scan);
        theirs.push(find);
      }
    } finally {
      await client.close();
    }
    const ratio = median(ours.map((time, round) => time / (theirs[round] ?? 0)));
    return [
      `Listing ${FOLDERS * FILES_EACH} files; ${SCAN_ROUNDS} rounds; ${SCAN_LIMIT} times what find takes is allowed.`,
      "",
      "| | median ms | least | most |",
      "| --- | --: | --: | --: |",
      row("find -printf", theirs),
      row("scan", ours),
      "",
      `Ratio ${ratio.toFixed(2)}. ${ratio <= SCAN_LIMIT ? "Within the limit." : "**Over the limit.**"}`,
      "",
    ].join("\n");
  });
}

/** Milliseconds of a command in an environment with nothing in it. */
function timed(program: string, argv: readonly string[]): number {
  const env = { PATH: process.env.PATH ?? "", HOME: MEMORY, KBUILD_ROOT: STORE };
  const start = performance.now();
  const { status, stderr } = spawnSync(program, argv, { env, stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  const time = performance.now() - start;
  if (status !== 0) throw new Error(`${program}: status ${status}\n${stderr}`);
  return time;
}

/** Runs with a folder in memory, which is gone afterwards, and so is the store. */
async function inFolder(run: (folder: string) => Promise<string>): Promise<string> {
  const folder = fs.mkdtempSync(path.join(MEMORY, "kbuild-parts-"));
  try {
    return await run(folder);
  } finally {
    for (const each of [folder, STORE]) fs.rmSync(each, { recursive: true, force: true });
  }
}

function row(name: string, times: readonly number[]): string {
  const figures = [median(times), Math.min(...times), Math.max(...times)].map((time) => time.toFixed(1));
  return `| ${name} | ${figures.join(" | ")} |`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}
