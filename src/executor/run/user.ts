import { KbuildError } from "../../errors.ts";
import { suggest } from "../../parser/suggest.ts";
import { type Account, type FileReader, LARGEST_ID, readAccounts, readGroups } from "../accounts.ts";

/** Who runs the process of a step. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, `gid` left out unless /etc/group says so. */
  readonly groups: readonly number[];
  /** What HOME is when nothing sets it. */
  readonly home: string;
}

/**
 * The user that USER names: nothing is root, `user`, `user:group`, each a name or a number. Unlike `--chown`, a name has
 * to be in the stage's files, and a number that /etc/passwd does not have is in group 0. The groups that /etc/group lists
 * a user in count only when USER names no group. Dockerfile reference, "USER"; what is not said there is as in runc.
 * @throws KbuildError `build.unknownUser`
 */
export async function findProcessUser(text: string, read: FileReader): Promise<ProcessUser> {
  const colon = text.indexOf(":");
  const user = colon < 0 ? text : text.slice(0, colon);
  const group = colon < 0 ? "" : text.slice(colon + 1);
  const accounts = (await readAccounts(read)) ?? [];
  const homeOf = (uid: number) => accounts.find((account) => account.uid === uid)?.home || "/";
  if (text === "") return { uid: 0, gid: 0, groups: [], home: homeOf(0) };
  const { uid, gid, account } = findUser(user, accounts);
  const home = homeOf(uid);
  if (group !== "") return { uid, gid: await findGroup(group, read), groups: [], home };
  if (account === undefined) return { uid, gid, groups: [], home };
  const groups = (await readGroups(read)).filter(({ members }) => members.includes(account.name));
  return { uid, gid, groups: [...new Set(groups.map((found) => found.gid))], home };
}

interface FoundUser {
  readonly uid: number;
  readonly gid: number;
  readonly account: Account | undefined;
}

/** A number is an id, also when there is a user of that name. */
function findUser(user: string, accounts: readonly Account[]): FoundUser {
  const number = user === "" ? 0 : parseNumber(user);
  const account = accounts.find(({ name, uid }) => (number === undefined ? name === user : uid === number));
  if (account !== undefined) return { uid: account.uid, gid: account.gid, account };
  if (number !== undefined) return { uid: number, gid: 0, account: undefined };
  const near = suggest(user, [...new Set(accounts.map(({ name }) => name))]);
  throw new KbuildError("build.unknownUser", `unable to find user ${user}: no matching entries in passwd file`, {
    hint:
      near === undefined
        ? "make the user in a RUN before it, for instance with useradd, or use a number in USER"
        : `did you mean ${near}?`,
  });
}

async function findGroup(group: string, read: FileReader): Promise<number> {
  const number = parseNumber(group);
  if (number !== undefined) return number;
  const groups = await readGroups(read);
  const found = groups.find(({ name }) => name === group);
  if (found !== undefined) return found.gid;
  const near = suggest(
    group,
    groups.map(({ name }) => name),
  );
  throw new KbuildError("build.unknownUser", `unable to find group ${group}: no matching entries in group file`, {
    hint:
      near === undefined
        ? "make the group in a RUN before it, for instance with groupadd, or use a number in USER"
        : `did you mean ${near}?`,
  });
}

function parseNumber(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id <= LARGEST_ID) return id;
  throw new KbuildError("build.unknownUser", `${text} is too large for the id of a user or a group`);
}
