import * as fs from "node:fs";
import * as path from "node:path";
import { type BaseName, EPOCH } from "./bases.ts";
import { Material } from "./material.ts";

/** Something to build: a base and a context, whose Dockerfile is written for the registry at hand. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly base: BaseName;
  /** The Dockerfile below `FROM`; `@BASE@` in it is the base as well. */
  readonly instructions: readonly string[];
  /** A path in the image that only this build can have put there. */
  readonly proof: string;
  /** Writes the context; `scale` shrinks numbers and sizes. */
  readonly fill: (folder: string, scale: number) => void;
}

const MIB = 1 << 20;
/** To be raised when the contexts change, so that old ones are made anew. */
const VERSION = 1;

/** The commands of W4, in a shell that has nothing but busybox's own. Paths are below the working folder. */
export const MANY_FILES =
  "d=0; while [ $d -lt 100 ]; do mkdir -p data/d$d; i=0; while [ $i -lt 100 ]; do " +
  'echo "file $d $i" >data/d$d/f$i; i=$((i+1)); done; d=$((d+1)); done; rm -f seed/*/gone*';

export const WORKLOADS: readonly Workload[] = [
  {
    name: "W1",
    title: "web-ping: a node base of five gzip layers (about 121 MB), 3 ENV, WORKDIR, COPY of one file",
    base: "node",
    instructions: [
      "ENV PORT=8080",
      "ENV NODE_ENV=production",
      "ENV TARGET=localhost",
      "WORKDIR /web-ping",
      "COPY app.js .",
      'CMD ["node", "app.js"]',
    ],
    proof: "web-ping/app.js",
    fill: (folder) =>
      put(folder, "app.js", "require('http').createServer((q, a) => a.end('pong')).listen(process.env.PORT);\n"),
  },
  {
    name: "W2",
    title: "COPY of 30,000 small files (187 MB)",
    base: "tiny",
    instructions: ["COPY . /app"],
    proof: "app/node_modules/pkg-00001/package.json",
    fill: (folder, scale) => putModules(folder, Math.round(30_000 * scale), 1870, new Material("W2")),
  },
  {
    name: "W3",
    title: "COPY of one file of 1 GiB",
    base: "tiny",
    instructions: ["COPY model.bin /model.bin"],
    proof: "model.bin",
    fill: (folder, scale) => putLarge(folder, "model.bin", Math.ceil(1024 * scale), new Material("W3")),
  },
  {
    name: "W4",
    title: "a RUN that makes 10,000 files and deletes 2,000 of the base",
    base: "seeded",
    instructions: [`RUN ${MANY_FILES}`],
    proof: "data/d0/f0",
    fill: () => {},
  },
  {
    name: "W5",
    title: "twenty small RUNs",
    base: "shell",
    instructions: Array.from({ length: 20 }, (_, number) => `RUN echo ${number} >/${number}`),
    proof: "19",
    fill: () => {},
  },
  {
    name: "W6",
    title: "four stages that each sleep 2 s, then COPY --from",
    base: "shell",
    instructions: [
      ...[0, 1, 2, 3].map((number) => `FROM @BASE@ AS s${number}\nRUN sleep 2; echo ${number} >/out${number}`),
      "FROM @BASE@",
      ...[0, 1, 2, 3].map((number) => `COPY --from=s${number} /out${number} /`),
    ],
    proof: "out3",
    fill: () => {},
  },
  {
    name: "W7",
    title: "a base of 20,000 files, 675 MB, four layers; COPY of one file; RUN",
    base: "large",
    instructions: ["COPY note.txt /note.txt", "RUN cat /note.txt >/copy.txt"],
    proof: "copy.txt",
    fill: (folder) => put(folder, "note.txt", "a note\n"),
  },
  {
    name: "W8a",
    title: "50 instructions: ENV, COPY, WORKDIR, LABEL by turns",
    base: "tiny",
    instructions: [
      ...Array.from({ length: 12 }, (_, number) => [
        `ENV KEY_${number}=value-${number}`,
        `COPY src/f${number}.txt /app/f${number}.txt`,
        `WORKDIR /app/d${number}`,
        `LABEL step=${number}`,
      ]).flat(),
      'CMD ["sh"]',
    ],
    proof: "app/f11.txt",
    fill: (folder) => {
      for (let number = 0; number < 12; number++) put(folder, `src/f${number}.txt`, `content ${number}\n`);
    },
  },
  {
    name: "W8b",
    title: "a context of 100,000 files, of which .dockerignore leaves 1,000",
    base: "tiny",
    instructions: ["COPY . /ctx"],
    proof: "ctx/src/d000/m00000.js",
    fill: (folder, scale) => {
      const material = new Material("W8b");
      put(folder, ".dockerignore", "node_modules\n**/*.log\n");
      putModules(folder, Math.round(50_000 * scale), 200, material);
      for (let number = 0; number < Math.round(49_000 * scale); number++) {
        put(folder, `src/d${digits(number % 500, 3)}/t${digits(number, 5)}.log`, material.text(120));
      }
      for (let number = 0; number < Math.round(1000 * scale); number++) {
        put(folder, `src/d${digits(number % 500, 3)}/m${digits(number, 5)}.js`, material.text(1500));
      }
    },
  },
];

export const WORKLOAD_NAMES: readonly string[] = WORKLOADS.map(({ name }) => name);

/** Makes the context of a workload, unless it is there already. */
export function makeContext(folder: string, workload: Workload, scale: number): void {
  const mark = `${folder}.made`;
  const made = JSON.stringify({ version: VERSION, scale });
  if (fs.existsSync(mark) && fs.readFileSync(mark, "utf8") === made) return;
  fs.rmSync(mark, { force: true });
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  known.clear();
  workload.fill(folder, scale);
  fs.writeFileSync(mark, made);
}

/** The Dockerfile is the one file that the registry's port goes into; all engines of a run get the same one. */
export function writeDockerfile(folder: string, workload: Workload, registry: string): void {
  const base = `${registry}/bench/${workload.base}:1`;
  const text = `FROM @BASE@\n${workload.instructions.join("\n")}\n`;
  put(folder, "Dockerfile", text.replaceAll("@BASE@", base));
}

const EDIT_MARK = "\n// edited: ";

/** Makes a file of a context another one than it was in every round before. */
export function editFile(file: string, what: string): void {
  fs.writeFileSync(file, `${original(file)}${EDIT_MARK}${what}\n`, "latin1");
}

/** Takes all edits back, so that the next run starts from the same bytes. */
export function restoreFile(file: string): void {
  fs.writeFileSync(file, original(file), "latin1");
  fs.utimesSync(file, EPOCH, EPOCH);
}

function original(file: string): string {
  return fs.readFileSync(file, "latin1").split(EDIT_MARK, 1)[0] ?? "";
}

/** A tree like node_modules: small packages, some of them scoped, one to four folders deep. */
function putModules(folder: string, count: number, median: number, material: Material): void {
  const places = ["", "", "", "", "lib/", "lib/", "lib/", "dist/esm/", "dist/esm/", "dist/esm/internal/util/"];
  const endings = ["js", "js", "js.map", "d.ts"];
  for (let made = 0, number = 0; made < count; number++) {
    const scope = number % 3 === 0 ? `@s${number % 40}/` : "";
    const files = Math.min(count - made, 3 + material.below(17));
    for (let file = 0; file < files; file++) {
      const place = places[material.below(places.length)] ?? "";
      const ending = endings[material.below(endings.length)] ?? "";
      const name = file === 0 ? "package.json" : `${place}f${file}.${ending}`;
      put(
        folder,
        `node_modules/${scope}pkg-${digits(number, 5)}/${name}`,
        material.text(material.size(median, 2 * MIB)),
      );
    }
    made += files;
  }
}

function putLarge(folder: string, name: string, mebibytes: number, material: Material): void {
  const file = path.join(folder, name);
  const out = fs.openSync(file, "w");
  for (let number = 0; number < mebibytes; number++) fs.writeSync(out, material.mixed(MIB));
  fs.closeSync(out);
  fs.utimesSync(file, EPOCH, EPOCH);
}

/** Folders that are there, to ask the system only once for each. */
const known = new Set<string>();

function put(folder: string, name: string, bytes: Uint8Array | string): void {
  const file = path.join(folder, name);
  const parent = path.dirname(file);
  if (!known.has(parent)) {
    fs.mkdirSync(parent, { recursive: true });
    known.add(parent);
  }
  fs.writeFileSync(file, bytes);
  fs.utimesSync(file, EPOCH, EPOCH);
}

function digits(number: number, width: number): string {
  return String(number).padStart(width, "0");
}
