import { Command, CommanderError, Option } from "commander";
import { KbuildError, suggest } from "../api.ts";
import { boolean, type Parser } from "./values.ts";

/** One option: what is typed, what it means, and what help says of it. */
export interface OptionSpec {
  /** As typed, the short one first: `-t, --tag`. */
  readonly names: string;
  /** What stands for the value in help. Absent: a switch, which `=false` turns off. */
  readonly argument?: string;
  /** Whether it may be given several times. */
  readonly several?: boolean;
  readonly help: string;
  readonly group?: string;
  readonly parse?: Parser<unknown>;
  /** docker has it and kbuild does not yet: why, or what to do instead. */
  readonly later?: string;
  /** Values that ask for nothing, of an option that is not there yet or changes nothing. */
  readonly harmless?: readonly string[];
  /** It is accepted and changes nothing; this says why. */
  readonly note?: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

type ValueOf<S extends OptionSpec> = S extends { readonly argument: string }
  ? S extends { readonly parse: Parser<infer V> }
    ? V
    : string
  : boolean;

/** What was typed, by the table's keys. What was not typed is absent. */
export type Values<T extends OptionTable> = {
  readonly [K in keyof T]?: T[K] extends { readonly several: true } ? readonly ValueOf<T[K]>[] : ValueOf<T[K]>;
};

export interface Typed<T extends OptionTable> {
  readonly values: Values<T>;
  readonly operands: readonly string[];
  /** What to tell about options that are accepted and change nothing. */
  readonly notes: readonly string[];
}

/** The long name of an option, `--tag`. */
export function longName(spec: OptionSpec): string {
  return spec.names.slice(spec.names.lastIndexOf(" ") + 1);
}

/**
 * Reads a command's arguments with commander by its table.
 *
 * @throws KbuildError `usage.option`
 */
export function readArguments<T extends OptionTable>(command: string, table: T, argv: readonly string[]): Typed<T> {
  const values: Record<string, unknown> = {};
  const notes = new Set<string>();
  const parser = new Command(command)
    .exitOverride()
    .helpOption(false)
    .configureOutput({ outputError: () => {} });
  for (const [key, spec] of Object.entries(table)) {
    const option = new Option(spec.argument === undefined ? spec.names : `${spec.names} <${spec.argument}>`);
    option.argParser((text: string | undefined) => {
      take(values, notes, key, spec, text);
    });
    parser.addOption(option);
  }
  const { plain, off } = withoutSwitchValues(table, argv);
  const { operands, unknown } = parse(command, parser, plain, table);
  const [first] = unknown;
  if (first !== undefined) throw unknownOption(command, table, first);
  for (const [key, spec] of Object.entries(table)) if (off.has(spec)) values[key] ??= false;
  return { values: values as Values<T>, operands, notes: [...notes] };
}

function parse(
  command: string,
  parser: Command,
  argv: string[],
  table: OptionTable,
): ReturnType<Command["parseOptions"]> {
  try {
    return parser.parseOptions(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const last = argv.at(-1) ?? "";
    const spec = Object.values(table).find(({ names }) => names.split(", ").includes(last));
    throw new KbuildError("usage.option", `${last} needs a value: ${last} ${spec?.argument ?? "VALUE"}`, {
      hint: `kbuild ${command} --help`,
      cause: error,
    });
  }
}

function take(
  values: Record<string, unknown>,
  notes: Set<string>,
  key: string,
  spec: OptionSpec,
  text: string | undefined,
): void {
  const name = longName(spec);
  if (spec.later !== undefined && !(text !== undefined && spec.harmless?.includes(text))) {
    const told = text !== undefined && spec.harmless ? `${name}=${text}` : name;
    throw new KbuildError("usage.notSupported", `${told} is not supported yet`, { hint: spec.later || undefined });
  }
  const asksForNothing = text !== undefined && spec.harmless?.includes(text) === true;
  if (spec.note !== undefined && !asksForNothing) notes.add(`${name}: ${spec.note}`);
  const value = text === undefined ? true : spec.parse ? spec.parse(text, name) : text;
  if (!spec.several) values[key] = value;
  else if (Array.isArray(values[key])) values[key].push(value);
  else values[key] = [value];
}

/**
 * docker's switches take a value (`--pull=false`) and short options one after `=` (`-t=x`); commander's do not. The
 * last of several decides: one that is off takes away those before it.
 */
function withoutSwitchValues(
  table: OptionTable,
  argv: readonly string[],
): { readonly plain: string[]; readonly off: ReadonlySet<OptionSpec> } {
  const off = new Set<OptionSpec>();
  const switches = new Map<string, OptionSpec>();
  for (const spec of Object.values(table)) {
    if (spec.argument === undefined) for (const name of spec.names.split(", ")) switches.set(name, spec);
  }
  let seen: string[] = [];
  for (const [index, argument] of argv.entries()) {
    if (argument === "--") return { plain: [...seen, ...argv.slice(index)], off };
    const [, name, value] = /^(--[^=]+|-[A-Za-z])=(.*)$/s.exec(argument) ?? [];
    const spec = name === undefined ? undefined : switches.get(name);
    if (spec !== undefined && name !== undefined && value !== undefined) {
      const aliases = spec.names.split(", ");
      if (boolean(value, name)) {
        seen.push(name);
      } else {
        seen = seen.filter((other) => !aliases.includes(other));
        off.add(spec);
      }
    } else {
      seen.push(/^-[A-Za-z]=./s.test(argument) ? argument.slice(0, 2) + argument.slice(3) : argument);
    }
  }
  return { plain: seen, off };
}

function unknownOption(command: string, table: OptionTable, typed: string): KbuildError {
  const name = typed.replace(/=.*$/s, "");
  const all = Object.values(table).flatMap(({ names }) => names.split(", ").filter((one) => one.startsWith("--")));
  const near = suggest(name, [...all, "--help"]) ?? all.find((one) => name.length > 3 && one.startsWith(name));
  return new KbuildError("usage.option", `${name} is not an option of kbuild ${command}`, {
    hint: near ? `did you mean ${near}?` : `kbuild ${command} --help lists them`,
  });
}
