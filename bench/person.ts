import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Places } from "./places.ts";

/** An account that commands run with. */
export interface Person {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** For `spawn` and the like, to run a command with this account; empty for whoever runs the bench. */
  readonly become: { readonly uid?: number; readonly gid?: number };
  /** For `XDG_RUNTIME_DIR`. */
  readonly runtime: string;
}

/** The accounts at hand: the plain one always, root only if the bench runs as root. */
export interface Persons {
  readonly user: Person;
  readonly root: Person | undefined;
}

/** As root, the plain account is the one named (`BENCH_USER`, which run.sh makes); else it is whoever runs the bench. */
export function personsOf(name: string, places: Places): Persons {
  const me = os.userInfo();
  const runtime = (whose: string, uid: number, gid: number): string => {
    const folder = path.join(places.runtime, `user-${whose}`);
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (me.uid === 0) fs.chownSync(folder, uid, gid);
    return folder;
  };
  const { uid, gid } = me;
  const myself = { name: me.username, uid, gid, home: me.homedir, become: {}, runtime: runtime(me.username, uid, gid) };
  if (me.uid !== 0) return { user: myself, root: undefined };
  const [, , theirUid, theirGid, , home = "/"] = execFileSync("getent", ["passwd", name], { encoding: "utf8" }).split(
    ":",
  );
  const them = { uid: Number(theirUid), gid: Number(theirGid) };
  return { root: myself, user: { name, ...them, home, become: them, runtime: runtime(name, them.uid, them.gid) } };
}

/** Makes an empty folder that belongs to someone. */
export function freshFolder(folder: string, person: Person): void {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.chownSync(folder, person.uid, person.gid);
}
