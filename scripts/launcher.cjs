#!/usr/bin/env node
// Runs the command line from its bundle. V8 keeps what it compiled beside it (cli.cache), which halves the time until the
// first line of kbuild runs; a cache of another version of Node.js is not taken, and all goes on without.
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

const file = join(__dirname, "cli.cjs");
const cache = join(__dirname, "cli.cache");
const wantsCache = process.env.KBUILD_WRITE_CODE_CACHE === "1";

function cached() {
  try {
    return wantsCache ? undefined : readFileSync(cache);
  } catch {
    return undefined;
  }
}

// The bundle is ASCII, and as such read fastest.
const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, "latin1")}\n})`;
const script = new Script(source, { filename: file, cachedData: cached() });
if (wantsCache) process.once("exit", () => writeFileSync(cache, script.createCachedData()));
// A context of many files makes many small objects that live for short. Left alone, V8 lets the space for new ones grow
// to some 50 MB before it looks; kept small, a COPY of 30,000 files takes a third less memory and no more time. Not at
// once: a build in which all is cached ends before it would gain from it, and the module takes two milliseconds to load.
else setTimeout(() => require("node:v8").setFlagsFromString("--semi-space-growth-factor=1"), 40).unref();

script.runInThisContext()(exports, require, module, file, __dirname);
