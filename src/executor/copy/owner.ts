import { KbuildError } from "../../errors.ts";
import type { Owner } from "../../layers/draft.ts";

/** Reads a small file of the stage's tree as text; undefined when it is not there. */
export type FileReader = (path: string) => Promise<string | undefined>;

/** The largest id that the kernel and tar agree on. */
const LARGEST_ID = 0xffff_fffe;

/**
 * The owner that `--chown` (or USER) names: `user`, `user:group`, each a name or a number. Names are looked up in the
 * stage's own /etc/passwd and /etc/group. As in BuildKit: a number alone is the group as well; a name alone brings its
 * user's group; a name that a present passwd does not have is root's, with a warning; without a passwd it is an error.
 * @throws KbuildError `build.unknownUser`
 */
export async function findOwner(text: string, read: FileReader, warn: (message: string) => void): Promise<Owner> {
  const colon = text.indexOf(":");
  const user = colon < 0 ? text : text.slice(0, colon);
  const group = colon < 0 ? "" : text.slice(colon + 1);
  const { uid, gid } = await findUser(user, read, warn);
  if (group === "") return { uid, gid };
  return { uid, gid: (await findGroup(group, read, warn)) ?? gid };
}

async function findUser(user: string, read: FileReader, warn: (message: string) => void): Promise<Owner> {
  const number = parseId(user, "user");
  if (number !== undefined) return { uid: number, gid: number };
  if (user === "") return { uid: 0, gid: 0 };
  const passwd = await read("etc/passwd");
  if (passwd === undefined) {
    throw new KbuildError("build.unknownUser", `the user "${user}" cannot be looked up: the stage has no /etc/passwd`, {
      hint: "use numbers, for instance --chown=1000:1000",
    });
  }
  for (const line of passwd.split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === user && isId(uid) && isId(gid)) return { uid: Number(uid), gid: Number(gid) };
  }
  warn(`the stage's /etc/passwd has no user "${user}": root is used instead`);
  return { uid: 0, gid: 0 };
}

async function findGroup(
  group: string,
  read: FileReader,
  warn: (message: string) => void,
): Promise<number | undefined> {
  const number = parseId(group, "group");
  if (number !== undefined) return number;
  for (const line of ((await read("etc/group")) ?? "").split("\n")) {
    const [name, , gid] = line.split(":");
    if (name === group && isId(gid)) return Number(gid);
  }
  warn(`the stage's /etc/group has no group "${group}": the user's group is used instead`);
  return undefined;
}

function parseId(text: string, what: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id <= LARGEST_ID) return id;
  throw new KbuildError("build.unknownUser", `${text} is too large for a ${what} id`);
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= LARGEST_ID;
}
