/** Values of RUN's mounts: read when they are parsed, and again once variables are expanded in them. */

/** The largest id that the kernel and tar agree on. */
const LARGEST_ID = 0xffff_fffe;
const UNITS = ["", "k", "m", "g", "t", "p"];

/** Go's `strconv.ParseBool`. */
export function parseSwitch(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(?:0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

/** Permissions in octal, with or without a leading 0. */
export function parsePermissions(text: string): number | undefined {
  const mode = /^[0-7]{1,11}$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  return mode <= 0o7777 ? mode : undefined;
}

/** The number of a user or a group. */
export function parseId(text: string): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= LARGEST_ID ? id : undefined;
}

/** Bytes as docker's go-units reads them, in powers of 1024: `512`, `1.5g`, `10GB`, `10GiB`. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  const bytes = Math.floor(Number(match?.[1]) * 1024 ** UNITS.indexOf((match?.[2] ?? "").toLowerCase()));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

export const SHARINGS = ["shared", "private", "locked"] as const;
export type Sharing = (typeof SHARINGS)[number];

export function parseSharing(text: string): Sharing | undefined {
  return SHARINGS.find((sharing) => sharing === text.toLowerCase());
}

/** The name of an environment variable. Anything goes but what ends it, as the kernel sees it. */
export function parseVariableName(text: string): string | undefined {
  return text === "" || /[=\0]/.test(text) ? undefined : text;
}

/** A kind of value: how it is read, and how it is written. */
interface ValueKind<T> {
  readonly parse: (text: string) => T | undefined;
  readonly hint: string;
}

/** The fields that not every text fits, by the name they are documented with. */
export const MOUNT_VALUES = {
  readonly: { parse: parseSwitch, hint: "it is true or false" },
  readwrite: { parse: parseSwitch, hint: "it is true or false" },
  required: { parse: parseSwitch, hint: "it is true or false" },
  sharing: { parse: parseSharing, hint: `it is ${SHARINGS.join(" or ")}` },
  mode: { parse: parsePermissions, hint: "permissions are octal, for instance mode=0755" },
  uid: { parse: parseId, hint: "it is a number; names have no meaning here" },
  gid: { parse: parseId, hint: "it is a number; names have no meaning here" },
  size: { parse: parseSize, hint: "sizes are like 512m or 2g" },
  env: { parse: parseVariableName, hint: "it is the name of a variable, for instance env=TOKEN" },
} as const satisfies Readonly<Record<string, ValueKind<unknown>>>;

export type CheckedField = keyof typeof MOUNT_VALUES;

/** What a value of a field is; undefined when it is none. */
export type MountValue<F extends CheckedField> = NonNullable<ReturnType<(typeof MOUNT_VALUES)[F]["parse"]>>;
