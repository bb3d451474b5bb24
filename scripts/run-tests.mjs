/**
 * Runs the uvu test files, each in a process of its own, and counts:
 *
 *     node scripts/run-tests.mjs [--count-file FILE] [--jobs N] [PATTERN...]
 *
 * A PATTERN is a part of a file's path (`parser`, `end-to-end/cache`); none means all files. A file that crashes, hangs
 * (`TEST_TIMEOUT` seconds, default 600), ends before its tests do, or has no tests counts as one failure, whatever it
 * printed. With CI set a skipped test is a failure too.
 */
import { spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const home = dirname(dirname(fileURLToPath(import.meta.url)));
const limit = Number(process.env.TEST_TIMEOUT || 600) * 1000;
const strict = Boolean(process.env.CI) && process.env.CI !== "false";

const patterns = [];
let countFile;
let jobs = Math.min(4, availableParallelism());
for (let i = 2; i < process.argv.length; i += 1) {
  if (process.argv[i] === "--count-file") countFile = process.argv[++i];
  else if (process.argv[i] === "--jobs") jobs = Number(process.argv[++i]);
  else patterns.push(process.argv[i]);
}

/** The test files, in the order of their names; the slow ones (real tools, servers) first, so that none is left over. */
function testFiles() {
  const all = readdirSync(join(home, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => relative(home, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((name) => patterns.length === 0 || patterns.some((pattern) => name.includes(pattern)));
  const slow = /^test\/(end-to-end|conformance|goldens|hardening)\//;
  return all.sort((a, b) => Number(slow.test(b)) - Number(slow.test(a)) || (a < b ? -1 : 1));
}

/** Runs one file; gives its counts and what it printed. */
function run(file) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(process.execPath, ["--import", "tsx", file], {
      cwd: home,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, FORCE_COLOR: "0", NODE_NO_WARNINGS: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output += text;
      });
    }
    let hung = false;
    const killGroup = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {}
    };
    const timer = setTimeout(() => {
      hung = true;
      killGroup();
    }, limit);
    // `exit` and not `close`: a server that a test left behind may hold the pipes open.
    child.on("exit", (status, signal) => {
      clearTimeout(timer);
      setTimeout(() => {
        killGroup();
        resolve({ file, ...judge(output, status, signal, hung), output, seconds: (Date.now() - started) / 1000 });
      }, 50);
    });
  });
}

function judge(output, status, signal, hung) {
  const number = (name) => {
    const found = [...output.matchAll(new RegExp(`^ {2}${name}: +(\\d+)$`, "gm"))].at(-1);
    return found ? Number(found[1]) : undefined;
  };
  const [total, passed, skipped] = [number("Total"), number("Passed"), number("Skipped") ?? 0];
  const trouble = hung
    ? `hung: killed after ${limit / 1000} s`
    : signal
      ? `died of ${signal}`
      : total === undefined
        ? `ended with status ${status} before its tests did`
        : total + skipped === 0
          ? "has no tests; is a suite's run() missing?"
          : status !== 0 && passed === total
            ? `ended with status ${status} although its tests passed`
            : undefined;
  const bad = (total ?? 0) - (passed ?? 0) + (trouble ? 1 : 0) + (strict ? skipped : 0);
  return { passed: passed ?? 0, failed: bad, skipped, trouble };
}

const files = testFiles();
if (files.length === 0) {
  console.error(`no test file matches ${patterns.join(" ")}`);
  process.exit(1);
}
const queue = [...files];
const totals = { passed: 0, failed: 0, skipped: 0 };
const broken = [];

async function worker() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const result = await run(file);
    totals.passed += result.passed;
    totals.failed += result.failed;
    totals.skipped += result.skipped;
    const counts = `${result.passed} passed${result.failed ? `, ${result.failed} failed` : ""}${result.skipped ? `, ${result.skipped} skipped` : ""}`;
    console.log(`${result.failed ? "FAIL" : "ok  "} ${file}  ${counts}  ${result.seconds.toFixed(1)}s`);
    if (result.failed) {
      broken.push(file);
      console.log(result.output.replace(/^/gm, "     "));
      if (result.trouble) console.log(`     ${file} ${result.trouble}`);
    } else if (result.skipped) {
      console.log(result.output.replace(/^(?!.*skip).*\n?/gim, "").replace(/^(?=.)/gm, "     "));
    }
  }
}
await Promise.all(Array.from({ length: Math.max(1, jobs) }, worker));

if (broken.length) console.log(`\nfailing: ${broken.join(" ")}`);
if (totals.skipped) console.log(`${totals.skipped} skipped${strict ? " (failures, because CI is set)" : ""}`);
console.log(`${totals.passed} passed, ${totals.failed} failed`);
if (countFile) writeFileSync(countFile, `${totals.passed} ${totals.failed}\n`);
process.exitCode = totals.failed ? 1 : 0;
