import { KbuildError, type ListedImage, suggest } from "../api.ts";
import { command } from "./command.ts";
import type { Values } from "./option-table.ts";
import { imageLsOptions } from "./options.ts";
import { ago, humanSize } from "./render/text.ts";
import type { Shell } from "./shell.ts";
import { printListing, type Row } from "./table.ts";
import { goTime, shortId } from "./times.ts";
import { badValue, boolean } from "./values.ts";

export const imageLsCommand = command({
  name: "image ls",
  usage: "[OPTIONS] [PATTERN]",
  aliases: ["kbuild images", "kbuild image list"],
  about:
    "Lists the images of the store, newest first. PATTERN is a name or a part of one with wildcards: 'web*', '*:v2'.",
  options: imageLsOptions,
  operands: { min: 0, max: 1, what: "nothing" },
  examples: ["kbuild image ls 'w*'", "kbuild image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}'"],
  run: async ({ values, operands }, shell) => {
    const images = await listed(filterOf(values, operands), values.root, shell);
    const rows = images.map((image) => rowOf(image, values, shell.now()));
    const isTable = values.format === undefined || values.format.trim() === "table";
    if (values.quiet && isTable) {
      shell.stdout.write(rows.map(({ ID }) => `${ID}\n`).join(""));
      return;
    }
    const columns = ["Repository", "Tag", ...(values.digests ? ["Digest"] : []), "ID", "CreatedSince", "Size"];
    await printListing({ rows, headline: HEADLINE, columns }, values.format, shell.stdout);
  },
});

type Typed = Values<typeof imageLsOptions>;

const HEADLINE: Row = {
  Containers: "CONTAINERS",
  CreatedAt: "CREATED AT",
  CreatedSince: "CREATED",
  Digest: "DIGEST",
  ID: "IMAGE ID",
  Repository: "REPOSITORY",
  SharedSize: "SHARED SIZE",
  Size: "SIZE",
  Tag: "TAG",
  UniqueSize: "UNIQUE SIZE",
  VirtualSize: "SIZE",
};

function rowOf(image: ListedImage, { noTrunc }: Typed, now: number): Row {
  const size = humanSize(image.size);
  return {
    Containers: "N/A",
    CreatedAt: goTime(image.created),
    CreatedSince: ago(image.created, now),
    Digest: image.digest,
    ID: noTrunc ? image.imageId : shortId(image.imageId),
    Repository: image.repository ?? "<none>",
    SharedSize: "N/A",
    Size: size,
    Tag: image.tag ?? "<none>",
    UniqueSize: "N/A",
    VirtualSize: size,
  };
}

interface Filter {
  /** Any of them; none: all images. */
  readonly patterns: readonly string[];
  /** Any of them. */
  readonly dangling: ReadonlySet<boolean>;
}

const FILTERS = ["reference", "dangling"];
/** Those of docker that are not there yet. */
const LATER_FILTERS = ["before", "since", "label", "until"];

function filterOf(values: Typed, operands: readonly string[]): Filter {
  const patterns = [...operands];
  const dangling = new Set<boolean>();
  for (const [key, value] of values.filter ?? []) {
    if (key === "reference") patterns.push(value);
    else if (key === "dangling") dangling.add(boolean(value, "--filter dangling"));
    else throw unknownFilter(key, value);
  }
  return { patterns, dangling };
}

function unknownFilter(key: string, value: string): KbuildError {
  if (LATER_FILTERS.includes(key)) {
    return new KbuildError("usage.notSupported", `--filter ${key} is not supported yet`, {
      hint: `there is ${FILTERS.join(" and ")}`,
    });
  }
  const near = suggest(key, FILTERS);
  const hint = near ? `did you mean ${near}?` : `there is ${FILTERS.join(" and ")}`;
  return badValue("--filter", `${key}=${value}`, `there is no filter ${key}`, hint);
}

/** docker: of several values of one filter any will do. */
async function listed({ patterns, dangling }: Filter, root: string | undefined, shell: Shell): Promise<ListedImage[]> {
  const { listStoredImages } = await shell.engine();
  const [only] = dangling;
  const common = { root, ...(dangling.size === 1 ? { dangling: only } : {}) };
  if (patterns.length < 2) return listStoredImages({ ...common, reference: patterns[0] });
  const keyOf = ({ repository, tag, digest }: ListedImage): string => JSON.stringify([repository, tag, digest]);
  const wanted = new Set<string>();
  for (const reference of patterns) {
    for (const image of await listStoredImages({ ...common, reference })) wanted.add(keyOf(image));
  }
  return (await listStoredImages(common)).filter((image) => wanted.has(keyOf(image)));
}
