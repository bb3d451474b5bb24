/**
 * Writes the image that the cases mean by `FROM busybox`, as an OCI layout: Debian's static busybox, a link for each of
 * its applets, a few folders, accounts, and scripts for `bash`, `adduser` and `addgroup`, which that busybox lacks.
 * Owners are 0:0 and times 0. By itself: `node --import tsx test/conformance/base.ts DEST`.
 */
import { execFileSync } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import * as zlib from "node:zlib";
import * as tar from "tar-stream";

export interface Member {
  readonly name: string;
  readonly type: "file" | "directory" | "symlink" | "link";
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly data?: string | Buffer;
  readonly link?: string;
}

const FOLDERS = "bin dev etc home proc root sys usr usr/bin usr/local usr/local/bin var var/tmp".split(" ");

// Name, number of the account and of its group, home.
const ACCOUNTS: readonly (readonly [string, number, string])[] = [
  ["root", 0, "/root"],
  ["bin", 1, "/bin"],
  ["daemon", 2, "/sbin"],
  ["mail", 8, "/var/mail"],
  ["operator", 37, "/var"],
  ["www-data", 33, "/var/www"],
  ["nobody", 65534, "/home"],
];

const PASSWD = ACCOUNTS.map(
  ([name, id, home]) => `${name}:x:${id}:${id}:${name}:${home}:${id === 0 ? "/bin/sh" : "/bin/false"}\n`,
).join("");
const GROUP = `${ACCOUNTS.map(([name, id]) => `${name}:x:${id}:\n`).join("")}wheel:x:10:root\n`;

const FREE_ID = `next() { awk -F: 'BEGIN { m = 999 } $3 > m && $3 < 60000 { m = $3 } END { print m + 1 }' "$1"; }\n`;

const SCRIPTS: Readonly<Record<string, string>> = {
  "bin/bash": `exec /bin/sh "$@"\n`,
  // addgroup [-g ID] [-S] NAME, or addgroup ACCOUNT GROUP
  "usr/bin/addgroup": `${FREE_ID}id=
while getopts g:S option; do [ "$option" = g ] && id=$OPTARG; done
shift $((OPTIND - 1))
if [ $# = 2 ]; then
  awk -F: -v OFS=: -v who="$1" -v group="$2" '$1 == group { $4 = $4 == "" ? who : $4 "," who } { print }' /etc/group >/etc/group.new
  cat /etc/group.new >/etc/group && rm /etc/group.new
else
  echo "$1:x:\${id:-$(next /etc/group)}:" >>/etc/group
fi
`,
  // adduser [-D] [-H] [-S] [-u ID] [-h HOME] [-G GROUP] [-g TEXT] [-s SHELL] [-k FOLDER] NAME
  "usr/bin/adduser": `${FREE_ID}id= home= group=
while getopts u:h:G:g:s:k:DHS option; do
  case $option in u) id=$OPTARG ;; h) home=$OPTARG ;; G) group=$OPTARG ;; esac
done
shift $((OPTIND - 1))
id=\${id:-$(next /etc/passwd)}
if [ -n "$group" ]; then
  gid=$(awk -F: -v group="$group" '$1 == group { print $3 }' /etc/group)
else
  gid=$id
  echo "$1:x:$id:" >>/etc/group
fi
echo "$1:x:$id:$gid:$1:\${home:-/home/$1}:/bin/sh" >>/etc/passwd
`,
};

/** Texts of the base that the cases change. */
export const BASE_TEXTS: Readonly<Record<string, string>> = {
  "etc/passwd": PASSWD,
  "etc/group": GROUP,
  "etc/os-release": "ID=test\nNAME=test\n",
};

function busybox(): string {
  const found = (process.env.PATH ?? "")
    .split(path.delimiter)
    .map((folder) => path.join(folder, "busybox"))
    .find((file) => fs.existsSync(file));
  if (!found) throw new Error("busybox is not installed (package busybox-static)");
  return found;
}

/** The members of the base's only layer, parents first. */
export function baseMembers(): Member[] {
  const program = busybox();
  const applets = execFileSync(program, ["--list"], { encoding: "utf8" }).split(/\s+/).filter(Boolean);
  const own = new Set(["busybox", "bash", "adduser", "addgroup"]);
  return [
    ...FOLDERS.map((name): Member => ({ name, type: "directory", mode: 0o755 })),
    { name: "tmp", type: "directory", mode: 0o1777 },
    { name: "bin/busybox", type: "file", mode: 0o755, data: fs.readFileSync(program) },
    ...[...new Set(applets)]
      .filter((applet) => !own.has(applet))
      .sort()
      .map((applet): Member => ({ name: `bin/${applet}`, type: "symlink", mode: 0o777, link: "busybox" })),
    ...Object.entries(SCRIPTS).map(
      ([name, text]): Member => ({ name, type: "file", mode: 0o755, data: `#!/bin/sh\n${text}` }),
    ),
    ...Object.entries(BASE_TEXTS).map(([name, text]): Member => ({ name, type: "file", mode: 0o644, data: text })),
  ];
}

/** A tar of the members, times 0. */
export async function tarOf(members: readonly Member[]): Promise<Buffer> {
  const pack = tar.pack();
  for (const member of members) {
    pack.entry(
      {
        name: member.type === "directory" ? `${member.name}/` : member.name,
        type: member.type,
        mode: member.mode,
        uid: member.uid ?? 0,
        gid: member.gid ?? 0,
        mtime: new Date(0),
        ...(member.link === undefined ? {} : { linkname: member.link }),
      },
      member.data ?? "",
    );
  }
  pack.finalize();
  const parts: Buffer[] = [];
  for await (const part of pack) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Writes an image of the given layers as an OCI layout with the tag `latest`. Gives the manifest's digest. */
export function writeLayout(
  dest: string,
  layers: readonly Buffer[],
  config: Readonly<Record<string, unknown>>,
  tag = "latest",
): string {
  fs.rmSync(dest, { recursive: true, force: true });
  const blobs = path.join(dest, "blobs", "sha256");
  fs.mkdirSync(blobs, { recursive: true });
  const digestOf = (bytes: Buffer): string => crypto.createHash("sha256").update(bytes).digest("hex");
  const put = (bytes: Buffer, kind: string) => {
    const hex = digestOf(bytes);
    fs.writeFileSync(path.join(blobs, hex), bytes);
    return { mediaType: `application/vnd.oci.image.${kind}`, digest: `sha256:${hex}`, size: bytes.length };
  };
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const manifest = put(
    json({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: put(
        json({
          architecture: "amd64",
          os: "linux",
          created: "1970-01-01T00:00:00Z",
          config,
          rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${digestOf(layer)}`) },
          history: layers.map((_, number) => ({
            created: "1970-01-01T00:00:00Z",
            created_by: number === 0 ? "busybox" : `step ${number}`,
          })),
        }),
        "config.v1+json",
      ),
      layers: layers.map((layer) => put(zlib.gzipSync(layer), "layer.v1.tar+gzip")),
    }),
    "manifest.v1+json",
  );
  fs.writeFileSync(
    path.join(dest, "index.json"),
    json({ schemaVersion: 2, manifests: [{ ...manifest, annotations: { "org.opencontainers.image.ref.name": tag } }] }),
  );
  fs.writeFileSync(path.join(dest, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  return manifest.digest;
}

export const BASE_CONFIG = {
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  Cmd: ["sh"],
} as const;

/** Writes the base; `more` are layers on top of it. */
export async function writeBase(dest: string, more: readonly Buffer[] = []): Promise<string> {
  return writeLayout(dest, [await tarOf(baseMembers()), ...more], BASE_CONFIG);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dest = process.argv[2];
  if (dest === undefined) throw new Error("usage: base.ts DEST");
  await writeBase(dest);
}
