import * as fs from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeFolder } from "../../../src/oci/layout/make-folder.ts";
import { workspace } from "../../support/workspace.ts";

const MakeFolder = suite("making a folder");
const home = workspace();
const at = (name: string): string => path.join(home, name);

MakeFolder("it and those that it is in are made; what is there stays", () => {
  makeFolder(at("a/b/c"), 0o700);
  fs.writeFileSync(at("a/b/f"), "");
  makeFolder(at("a/b"));
  assert.is(fs.statSync(at("a/b/c")).mode & 0o777, 0o700);
  assert.ok(fs.existsSync(at("a/b/f")));
  fs.symlinkSync("a", at("link"));
  makeFolder(at("link/d"));
  assert.ok(fs.existsSync(at("a/d")));
});

MakeFolder("what is in the way, or no folder's place, is the system's error, at once", () => {
  fs.symlinkSync("nothing", at("dangling"));
  const fails = (folder: string, code: string) =>
    assert.throws(
      () => makeFolder(folder),
      (error: unknown) => error instanceof Error && "code" in error && error.code === code,
    );
  fails(at("a/b/f"), "EEXIST");
  fails(at("a/b/f/g"), "ENOTDIR");
  fails(at("dangling/x"), "EEXIST");
  fails("/proc/none/x/y", "ENOENT");
});

MakeFolder.run();
