/**
 * Some cases use a RUN only to prepare what the instruction under test meets (a link, an owner, a deleted file). For
 * these the outcome of the commands is made here as a layer of the base, so that the rule itself is tested without
 * running anything. Understood are `mkdir [-p]`, `ln [-s]`, `echo TEXT > or >> FILE`, `chown`, `chmod`, `rm`, joined by
 * `&&`; everything else makes the case one that needs RUN.
 */
import { BASE_TEXTS, type Member } from "./base.ts";

interface Node {
  type: Member["type"];
  mode: number;
  uid: number;
  gid: number;
  data?: string;
  link?: string;
}

/** What the leading RUNs of a case's only `busybox` stage leave behind, one list of members for each RUN. */
export interface Prepared {
  /** The Dockerfile with an empty line in place of each RUN, so that line numbers stay. */
  readonly dockerfile: string;
  readonly layers: readonly (readonly Member[])[];
}

/** Takes the leading RUNs out of a Dockerfile; undefined when some RUN would have to be executed all the same. */
export function prepare(dockerfile: string): Prepared | undefined {
  const lines = dockerfile.split("\n");
  const layers: Member[][] = [];
  const files = new Map<string, Node>();
  let stages = 0;
  let leading = false;
  for (const [number, line] of lines.entries()) {
    if (/^FROM (busybox|\$B)\b/.test(line)) {
      stages += 1;
      leading = true;
    } else if (/^\s*RUN\b/i.test(line)) {
      const layer = leading && stages === 1 ? execute(line.replace(/^\s*RUN\s+/i, ""), files) : undefined;
      if (!layer) return undefined;
      layers.push(layer);
      lines[number] = "";
    } else {
      leading = false;
    }
  }
  return stages === 1 && layers.length > 0 ? { dockerfile: lines.join("\n"), layers } : undefined;
}

/** Executes one command line upon the files made so far; gives the layer, or undefined when something is not understood. */
function execute(line: string, files: Map<string, Node>): Member[] | undefined {
  const changed = new Map<string, Member>();
  const strip = (name: string): string => name.replace(/^\/+/, "").replace(/\/+$/, "");
  const put = (name: string, node: Node): void => {
    files.set(name, node);
    changed.set(name, { name, ...node });
  };
  for (const command of line.split("&&").map((part) => part.trim())) {
    const redirect = /^echo (\S+) ?(>>?)(\/\S+)$/.exec(command);
    if (redirect) {
      const [, text = "", mode, target = ""] = redirect;
      const name = strip(target);
      const before = mode === ">>" ? (files.get(name)?.data ?? BASE_TEXTS[name] ?? "") : "";
      put(name, { type: "file", mode: 0o644, uid: 0, gid: 0, data: `${before}${text}\n` });
      continue;
    }
    const [program, ...words] = command.split(/\s+/);
    if (words.some((word) => /[<>|;$`"'*]/.test(word))) return undefined;
    const flags = words.filter((word) => word.startsWith("-")).join("");
    const names = words.filter((word) => !word.startsWith("-"));
    const [first = "", second = ""] = names;
    if (program === "mkdir" && names.length === 1) {
      const parts = strip(first).split("/");
      if (parts.length > 1 && flags !== "-p") return undefined;
      parts.forEach((_, index) => {
        const name = parts.slice(0, index + 1).join("/");
        if (!files.has(name)) put(name, { type: "directory", mode: 0o755, uid: 0, gid: 0 });
      });
    } else if (program === "ln" && flags === "-s") {
      put(strip(second), { type: "symlink", mode: 0o777, uid: 0, gid: 0, link: first });
    } else if (program === "ln" && flags === "") {
      put(strip(second), { type: "link", mode: 0o644, uid: 0, gid: 0, link: strip(first) });
    } else if (program === "chown" || program === "chmod") {
      const name = strip(second);
      const node = files.get(name);
      if (!node) return undefined;
      const [uid = "", gid = ""] = first.split(":");
      put(
        name,
        program === "chmod"
          ? { ...node, mode: Number.parseInt(first, 8) }
          : { ...node, uid: Number(uid), gid: Number(gid) },
      );
    } else if (program === "rm" && names.length === 1 && files.has(strip(first))) {
      const name = strip(first);
      files.delete(name);
      changed.delete(name);
      const mark = name.replace(/[^/]+$/, ".wh.$&");
      changed.set(mark, { name: mark, type: "file", mode: 0o644, data: "" });
    } else {
      return undefined;
    }
  }
  return [...changed.values()];
}
