import { KbuildError } from "../../errors.ts";
import type { Owner } from "../../layers/draft.ts";
import { type FileReader, LARGEST_ID, readAccounts, readGroups } from "../accounts.ts";

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
  const accounts = await readAccounts(read);
  if (accounts === undefined) {
    throw new KbuildError("build.unknownUser", `the user "${user}" cannot be looked up: the stage has no /etc/passwd`, {
      hint: "use numbers, for instance --chown=1000:1000",
    });
  }
  const account = accounts.find(({ name }) => name === user);
  if (account !== undefined) return { uid: account.uid, gid: account.gid };
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
  const found = (await readGroups(read)).find(({ name }) => name === group);
  if (found !== undefined) return found.gid;
  warn(`the stage's /etc/group has no group "${group}": the user's group is used instead`);
  return undefined;
}

function parseId(text: string, what: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id <= LARGEST_ID) return id;
  throw new KbuildError("build.unknownUser", `${text} is too large for a ${what} id`);
}
