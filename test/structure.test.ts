import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HOME } from "./support/workspace.ts";

/** What each part of the source may import besides itself; `native/protocol.ts` holds types that are everybody's. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  "lazy-builtin.ts": [],
  cli: ["api.ts"],
  "api.ts": ["executor", "bake", "parser", "layers", "sandbox", "native", "oci", "errors.ts"],
  executor: ["bake", "parser", "layers", "sandbox", "native", "oci", "errors.ts", "lazy-builtin.ts"],
  bake: ["parser/suggest.ts", "errors.ts"],
  parser: ["errors.ts"],
  layers: ["native/protocol.ts", "errors.ts"],
  sandbox: ["native", "errors.ts", "lazy-builtin.ts"],
  native: ["layers/path-bytes.ts", "errors.ts", "lazy-builtin.ts"],
  oci: ["errors.ts", "lazy-builtin.ts"],
};

const LONGEST_FILE = 500;
const source = path.join(HOME, "src");
const files = (fs.readdirSync(source, { recursive: true }) as string[]).filter((name) => name.endsWith(".ts")).sort();
const textOf = (file: string): string => fs.readFileSync(path.join(source, file), "utf8");

/** Relative imports of a file, of types and dynamic ones included, as paths below `src`. */
function importsOf(file: string, text = textOf(file)): string[] {
  const found = [...text.matchAll(/\b(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g)];
  return found.map(([, target = ""]) => path.join(path.dirname(file), target));
}

const graph = new Map(files.map((file) => [file, importsOf(file)]));

const Structure = suite("the house");

Structure("imports are read in whichever form they are written", () => {
  const text = [
    'import { a } from "../b.ts";',
    'import type { b } from "./c.ts";',
    "import {\n  d,\n} from './d.ts';",
    'import "./e.ts";',
    'export { f } from "./f.ts";',
    'const g = await import("./g.ts");',
    'type H = import("../h/i.ts").H;',
    'import { readFileSync } from "node:fs";',
  ].join("\n");
  assert.equal(importsOf("x/a.ts", text), ["b.ts", "x/c.ts", "x/d.ts", "x/e.ts", "x/f.ts", "x/g.ts", "h/i.ts"]);
  assert.ok(files.length > 100, "all files are looked at");
});

Structure("what is imported is there", () => {
  for (const [file, targets] of graph) {
    for (const target of targets) assert.ok(graph.has(target), `${file} imports ${target}`);
  }
});

Structure("imports go one way", () => {
  for (const [file, targets] of graph) {
    const [root = ""] = file.split("/");
    const allowed = ALLOWED[root];
    assert.ok(allowed, `${file}: ${root} is no part that is known`);
    for (const target of targets) {
      const [part = ""] = target.split("/");
      const isFine = part === root || allowed.includes(part) || allowed.includes(target);
      assert.ok(isFine, `${file} must not import ${target}`);
    }
  }
});

/** A circle that leads through a file, if there is one. */
function findCircle(edges: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of edges.get(file) ?? []) {
      const circle = visit(target, [...way, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of edges.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

Structure("imports never go in a circle", () => {
  assert.equal(
    findCircle(
      new Map([
        ["a", ["b"]],
        ["b", ["c"]],
        ["c", ["b"]],
      ]),
    ),
    ["b", "c", "b"],
  );
  /** Imports of types alone are gone once it runs. */
  const running = files.map((file): readonly [string, string[]] => [
    file,
    importsOf(file, textOf(file).replace(/^(?:im|ex)port type [^;]+;/gm, "")),
  ]);
  assert.equal(findCircle(new Map(running)), undefined);
});

Structure("no file is too long to be read in one sitting", () => {
  const isLong = (file: string) => textOf(file).split("\n").length > LONGEST_FILE + 1;
  assert.equal(files.filter(isLong), []);
});

Structure("nothing is exported as the default, and nothing is left for later", () => {
  for (const file of files) {
    const text = textOf(file);
    assert.not.match(text, /^export default |\bas default\b/m, file);
    assert.not.match(text, /\b(?:TODO|FIXME|XXX)\b/, file);
    assert.not.match(text, /^(?:export )?(?:const )?enum /m, file);
  }
});

Structure.run();
