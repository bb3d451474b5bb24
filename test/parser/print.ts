import type {
  Command,
  CopyInstruction,
  Dockerfile,
  Heredoc,
  Instruction,
  RunInstruction,
  RunMount,
  Word,
} from "../../src/parser/instructions.ts";

/** A flag: its name and value. */
type Flag = readonly [name: string, value: string | undefined];

/**
 * Writes a parsed Dockerfile as text again, in one form whatever it was written in: what the parser makes of that differs
 * from what it was made of in places only.
 */
export function printDockerfile({ directives, globalArguments, stages }: Dockerfile): string {
  const { syntax, escape: escapeCharacter, check } = directives;
  const head = [
    ...(syntax === undefined ? [] : [`# syntax=${syntax.text}`]),
    ...(escapeCharacter === "\\" ? [] : [`# escape=${escapeCharacter}`]),
    ...(check === undefined ? [] : [`# check=${check.text}`]),
  ];
  const instructions: Instruction[] = [
    ...globalArguments,
    ...stages.flatMap(({ from, instructions }) => [from, ...instructions]),
  ];
  return [...head, ...instructions.map((instruction) => printInstruction(instruction, escapeCharacter))]
    .join("\n")
    .concat("\n");
}

function printInstruction(instruction: Instruction, escapeCharacter: string): string {
  const { kind } = instruction;
  switch (kind) {
    case "FROM": {
      const name = instruction.name === undefined ? "" : ` AS ${instruction.name.text}`;
      return line(kind, [["platform", instruction.platform?.text]], instruction.image.text + name);
    }
    case "ARG": {
      const items = instruction.items.map(({ name, value }) => {
        const written = name.replace(/[^\w.-]/gu, `${escapeCharacter}$&`);
        return value === undefined ? written : `${written}=${value.text}`;
      });
      return line(kind, [], items.join(" "));
    }
    case "ENV":
    case "LABEL": {
      const pairs = instruction.pairs.map(({ name, value, legacy }) => name.text + (legacy ? " " : "=") + value.text);
      return line(kind, [], pairs.join(" "));
    }
    case "COPY":
    case "ADD":
      return printCopy(instruction);
    case "RUN":
      return printRun(instruction);
    case "CMD":
    case "ENTRYPOINT":
      return line(kind, [], printCommand(instruction.command));
    case "SHELL":
      return line(kind, [], JSON.stringify(instruction.words));
    case "WORKDIR":
      return line(kind, [], instruction.path.text);
    case "USER":
      return line(kind, [], instruction.user.text);
    case "EXPOSE":
      return line(kind, [], texts(instruction.ports).join(" "));
    case "VOLUME":
      // Which form it had is not kept: the one with blanks takes no path with a blank.
      return line(kind, [], JSON.stringify(texts(instruction.paths)));
    case "STOPSIGNAL":
      return line(kind, [], instruction.signal.text);
    case "MAINTAINER":
      return line(kind, [], instruction.name);
    case "HEALTHCHECK": {
      const { check, interval, timeout, startPeriod, startInterval, retries } = instruction;
      if (check === "NONE") return line(kind, [], "NONE");
      const time = (value: number | undefined) => (value === undefined ? undefined : `${value}ns`);
      const flags: Flag[] = [
        ["interval", time(interval)],
        ["timeout", time(timeout)],
        ["start-period", time(startPeriod)],
        ["start-interval", time(startInterval)],
        ["retries", retries === undefined ? undefined : String(retries)],
      ];
      return line(kind, flags, `CMD ${printCommand(check)}`);
    }
    case "ONBUILD":
      return line(kind, [], instruction.trigger);
  }
}

function printCopy(instruction: CopyInstruction): string {
  const { kind, sources, heredocs, destination, order, json, unpack } = instruction;
  const flags: Flag[] = [
    ["from", instruction.from?.text],
    ["chown", instruction.chown?.text],
    ["chmod", instruction.chmod?.text],
    ["checksum", instruction.checksum?.text],
    ["link", instruction.link ? "true" : undefined],
    ["parents", instruction.parents ? "true" : undefined],
    ["keep-git-dir", instruction.keepGitDir === undefined ? undefined : String(instruction.keepGitDir)],
    ["unpack", unpack === undefined ? undefined : String(unpack)],
    ...instruction.exclude.map(({ text }): Flag => ["exclude", text]),
  ];
  if (json) return line(kind, flags, JSON.stringify(texts([...sources, destination])));
  const words = order.map((place) =>
    "source" in place ? (sources[place.source]?.text ?? "") : printHead(heredocs[place.heredoc]),
  );
  return line(kind, flags, [...words, destination.text].join(" ")) + bodies(heredocs);
}

function printRun({ kind, command, heredocs, mounts, network, security, devices }: RunInstruction): string {
  const flags: Flag[] = [
    ...mounts.map((mount): Flag => ["mount", printMount(mount)]),
    ["network", network?.value],
    ["security", security?.value],
    ...devices.map(({ text }): Flag => ["device", text]),
  ];
  return line(kind, flags, printCommand(command)) + bodies(heredocs);
}

function printCommand(command: Command): string {
  return command.form === "exec" ? JSON.stringify(command.words) : command.text;
}

function printMount(mount: RunMount): string {
  const fields = Object.entries(mount).flatMap(([name, value]: [string, string | Word | undefined]) => {
    if (name === "location" || value === undefined) return [];
    return `${name.toLowerCase()}=${typeof value === "string" ? value : value.text}`;
  });
  return fields.map((field) => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",");
}

/** A heredoc's word. Blank quotes are enough for its content not to be expanded. */
function printHead(heredoc: Heredoc | undefined): string {
  if (heredoc === undefined) return "";
  return `<<${heredoc.expand ? "" : "''"}${escaped(heredoc.name)}`;
}

function bodies(heredocs: readonly Heredoc[]): string {
  return heredocs.map(({ name, content }) => `\n${content}${name}`).join("");
}

/** Flags and heredocs are escaped by backslashes, whatever the Dockerfile's escape character. */
function escaped(text: string): string {
  return text.replace(/[^\w./:=,+-]/gu, "\\$&");
}

function line(keyword: string, flags: readonly Flag[], rest: string): string {
  const written = flags.flatMap(([name, value]) => (value === undefined ? [] : `--${name}=${escaped(value)}`));
  // What looks like a flag and is none stands behind the word that ends them.
  const end = rest.startsWith("--") ? ["--"] : [];
  return [keyword, ...written, ...end, ...(rest === "" ? [] : [rest])].join(" ");
}

function texts(words: readonly Word[]): readonly string[] {
  return words.map(({ text }) => text);
}
