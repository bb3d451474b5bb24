import { spawnSync } from "node:child_process";
import * as fs from "node:fs";

/** An account of this machine that a test made for itself. It is gone when the test process ends. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const PREFIX = "kbuild-test-";
/** The tools lock /etc/passwd; another test that makes accounts at the same time is waited for. */
const TRIES = 100;

const made: string[] = [];
process.on("exit", () => {
  for (const name of made) removeAccount(name);
});

/**
 * Makes an account, with or without subordinate ids (subuid(5)). Needs root. Throws when the account is not what was asked
 * for: a test that means one without subordinate ids would prove nothing otherwise.
 */
export function makeAccount(kind: "subordinate" | "plain"): Account {
  if (process.getuid?.() !== 0) throw new Error("accounts are made by root");
  removeOrphans();
  const name = `${PREFIX}${process.pid}-${made.length}`;
  for (const file of ["/etc/subuid", "/etc/subgid"]) if (!fs.existsSync(file)) fs.writeFileSync(file, "");
  const none = kind === "plain" ? ["-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"] : [];
  made.push(name);
  patiently("useradd", ["--no-create-home", "--no-log-init", "--shell", "/bin/sh", ...none, name]);
  for (const file of ["/etc/subuid", "/etc/subgid"]) {
    const has = fs.readFileSync(file, "utf8").includes(`${name}:`);
    if (has !== (kind === "subordinate")) throw new Error(`${name} has ${has ? "" : "no "}ids in ${file}`);
  }
  const [, , uid, gid] = (lineOf(name) ?? "").split(":");
  return { name, uid: Number(uid), gid: Number(gid) };
}

/** Test processes that were killed leave their accounts; whoever comes next removes them. */
function removeOrphans(): void {
  for (const [, name = "", pid = ""] of accounts().matchAll(/^(kbuild-test-(\d+)-\d+):/gm)) {
    if (!fs.existsSync(`/proc/${pid}`)) removeAccount(name);
  }
}

function removeAccount(name: string): void {
  // --force: also while a process of it is about to end.
  if (lineOf(name) !== undefined) patiently("userdel", ["--force", name]);
}

function patiently(program: string, argv: readonly string[]): void {
  let stderr = "";
  for (let tries = 0; tries < TRIES; tries += 1) {
    const done = spawnSync(program, argv, { encoding: "utf8", env: { PATH: `${process.env.PATH}:/usr/sbin` } });
    if (done.error) throw done.error;
    if (done.status === 0) return;
    stderr = done.stderr;
    if (!/cannot lock|try again later/.test(stderr)) break;
    spawnSync("sleep", ["0.1"]);
  }
  throw new Error(`${program} ${argv.join(" ")}: ${stderr}`);
}

function lineOf(name: string): string | undefined {
  return accounts()
    .split("\n")
    .find((line) => line.startsWith(`${name}:`));
}

function accounts(): string {
  return fs.readFileSync("/etc/passwd", "utf8");
}
