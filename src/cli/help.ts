import { KbuildError, suggest } from "../api.ts";
import { type Command, command } from "./command.ts";
import type { CommandEntry } from "./commands.ts";
import { besideColumn, bounded, entry, wrap } from "./help-text.ts";
import { helpOptions } from "./options.ts";

/** What `kbuild --help` prints, or with a group (`image`) its commands. */
function overview(shown: readonly (readonly [string, CommandEntry])[], width: number, group?: string): string {
  const columns = bounded(width);
  const call = group === undefined ? "kbuild" : `kbuild ${group}`;
  const beside = besideColumn(
    shown.map(([name]) => `  ${name}`),
    columns,
  );
  const lines = shown.map(([name, { about }]) => entry(`  ${name}`, about, beside, columns));
  const parts = [
    group === undefined
      ? "Usage: kbuild [OPTIONS] PATH | -\n       kbuild COMMAND [OPTIONS] ..."
      : `Usage: ${call} COMMAND [OPTIONS] ...`,
    ...(group === undefined
      ? [wrap("Builds Dockerfiles into OCI images, without a daemon and without root.", columns, "", "")]
      : []),
    ["Commands:", ...lines].join("\n"),
    wrap(`${call} COMMAND --help explains a command and its options.`, columns, "", ""),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** The command that tells of the others: they are given, as their table has this one. */
export function helpCommand(commands: readonly CommandEntry[]): Command {
  return command({
    name: "help",
    usage: "[COMMAND]",
    about: "Explains a command, or lists all commands.",
    options: helpOptions,
    run: async ({ operands }, { stdout }) => {
      const width = stdout.columns ?? 100;
      const name = operands.join(" ");
      if (name === "") {
        stdout.write(
          overview(
            commands.map((one) => [one.names[0] ?? "", one] as const),
            width,
          ),
        );
        return;
      }
      const found = commands.find(({ names }) => names.includes(name));
      if (found !== undefined) {
        stdout.write(await (await found.load()).help(width));
        return;
      }
      // Of several names in a group, the first.
      const inside = commands.flatMap((one) => {
        const own = one.names.find((other) => other.startsWith(`${name} `));
        return own === undefined ? [] : [[own.slice(name.length + 1), one] as const];
      });
      if (inside.length === 0) throw unknown(name, commands);
      stdout.write(overview(inside, width, name));
    },
  });
}

function unknown(name: string, commands: readonly CommandEntry[]): KbuildError {
  const near = suggest(
    name,
    commands.flatMap(({ names }) => names),
  );
  return new KbuildError("usage.command", `${name} is not a command`, {
    hint: near ? `did you mean kbuild help ${near}?` : "kbuild help lists them",
  });
}
