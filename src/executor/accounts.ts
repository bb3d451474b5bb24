/** The files of an image that say which users and groups there are: passwd(5), group(5). */

/** Reads a small file of the stage's tree as text; undefined when it is not there. */
export type FileReader = (path: string) => Promise<string | undefined>;

/** A line of /etc/passwd. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** A line of /etc/group. */
export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** The largest id that the kernel and tar agree on. */
export const LARGEST_ID = 0xffff_fffe;

/** The accounts in their order; undefined without a /etc/passwd. Lines that make no sense are passed over. */
export async function readAccounts(read: FileReader): Promise<readonly Account[] | undefined> {
  const text = await read("etc/passwd");
  return text?.split("\n").flatMap((line) => {
    const [name = "", , uid, gid, , home = ""] = line.split(":");
    return isId(uid) && isId(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home }] : [];
  });
}

/** The groups in their order; none without a /etc/group. */
export async function readGroups(read: FileReader): Promise<readonly Group[]> {
  const text = (await read("etc/group")) ?? "";
  return text.split("\n").flatMap((line) => {
    const [name = "", , gid, members = ""] = line.split(":");
    return isId(gid) ? [{ name, gid: Number(gid), members: members.split(",").map((member) => member.trim()) }] : [];
  });
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= LARGEST_ID;
}
