import { KbuildError } from "../../errors.ts";
import { lazyBuiltin } from "../../lazy-builtin.ts";
import type { ContainerConfig, Healthcheck } from "../../oci/types.ts";
import { shown } from "../../parser/characters.ts";
import type {
  Command,
  ExposeInstruction,
  HealthcheckInstruction,
  Instruction,
  Pair,
  VolumeInstruction,
  Word,
} from "../../parser/instructions.ts";
import { goDuration, goList, goQuote, goQuoteCharacter, goQuotedList } from "../go-format.ts";
import { withEnvironment } from "../state.ts";

const net = lazyBuiltin<typeof import("node:net")>("node:net");

/** Expands a word of the instruction with the values that held before it. */
export type Expand = (word: Word) => string;
export type ExpandMany = (word: Word) => string[];

/** What an instruction makes of the configuration, and its line in the history. */
export interface ConfigChange {
  readonly config: ContainerConfig;
  readonly text: string;
  /** ENV only: variables that it set, in order. */
  readonly environment?: readonly (readonly [string, string])[];
  readonly author?: string;
}

/** State within a stage that decides what an instruction does. */
export interface CommandState {
  /** Whether this stage has had a CMD of its own: ENTRYPOINT resets an inherited one only. */
  readonly hasOwnCommand: boolean;
}

/** Instructions that only change the configuration. */
export type ConfigInstruction = Exclude<
  Instruction,
  { kind: "FROM" | "ARG" | "COPY" | "ADD" | "RUN" | "WORKDIR" | "ONBUILD" }
>;

/** What docker runs shell forms with when there was no SHELL. */
export const DEFAULT_SHELL = ["/bin/sh", "-c"] as const;

/** Applies an instruction that only changes the configuration. Dockerfile reference, each instruction's section. */
export function applyConfig(
  instruction: ConfigInstruction,
  config: ContainerConfig,
  commands: CommandState,
  expand: Expand,
  expandMany: ExpandMany,
): ConfigChange {
  switch (instruction.kind) {
    case "ENV": {
      const pairs = expandPairs(instruction.pairs, expand);
      const changed = pairs.reduce((current, [name, value]) => withEnvironment(current, name, value), config);
      return { config: changed, text: `ENV ${pairText(pairs)}`, environment: pairs };
    }
    case "LABEL": {
      const pairs = expandPairs(instruction.pairs, expand);
      return {
        config: { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs) } },
        text: `LABEL ${pairText(pairs)}`,
      };
    }
    case "CMD": {
      const words = commandWords(instruction.command, config);
      return { config: withList(config, "Cmd", words), text: `CMD ${goQuotedList(words)}` };
    }
    case "ENTRYPOINT": {
      const words = commandWords(instruction.command, config);
      const { Cmd: _, ...rest } = config;
      return {
        config: withList(commands.hasOwnCommand ? config : rest, "Entrypoint", words),
        text: `ENTRYPOINT ${goQuotedList(words)}`,
      };
    }
    case "SHELL":
      return { config: { ...config, Shell: instruction.words }, text: `SHELL ${goList(instruction.words)}` };
    case "USER": {
      const user = expand(instruction.user);
      return { config: { ...config, User: user }, text: `USER ${user}` };
    }
    case "STOPSIGNAL": {
      const signal = expand(instruction.signal);
      checkSignal(signal, instruction.signal);
      return { config: { ...config, StopSignal: signal }, text: `STOPSIGNAL ${signal}` };
    }
    case "EXPOSE":
      return expose(instruction, config, expandMany);
    case "VOLUME":
      return volume(instruction, config, expand);
    case "HEALTHCHECK": {
      const check = healthcheck(instruction);
      return { config: { ...config, Healthcheck: check }, text: `HEALTHCHECK ${healthcheckText(check)}` };
    }
    case "MAINTAINER":
      return { config, text: `MAINTAINER ${instruction.name}`, author: instruction.name };
  }
}

/** The words that a command runs as: a shell form gets the stage's SHELL in front. */
export function commandWords(command: Command, config: ContainerConfig): readonly string[] {
  if (command.form === "exec") return command.words;
  return [...(config.Shell ?? DEFAULT_SHELL), command.text];
}

function withList(config: ContainerConfig, field: "Cmd" | "Entrypoint", words: readonly string[]): ContainerConfig {
  const { ArgsEscaped: _, [field]: __, ...rest } = config;
  return words.length === 0 ? rest : { ...rest, [field]: words };
}

function expandPairs(pairs: readonly Pair[], expand: Expand): (readonly [string, string])[] {
  return pairs.map((pair) => {
    const name = expand(pair.name);
    if (name === "")
      throw new KbuildError("build.blankName", "a name is blank after expansion", { location: pair.name.location });
    return [name, expand(pair.value)] as const;
  });
}

function pairText(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([name, value]) => `${name}=${value}`).join(" ");
}

/** `80`, `80/udp`, `8000-8002/tcp`, `8080:80` (the host's part is dropped, as docker does). */
function expose(instruction: ExposeInstruction, config: ContainerConfig, expandMany: ExpandMany): ConfigChange {
  const ports = new Set<string>();
  for (const word of instruction.ports) {
    for (const text of expandMany(word)) {
      for (const port of parsePort(text, word)) ports.add(port);
    }
  }
  return {
    config: { ...config, ExposedPorts: withKeys(config.ExposedPorts, ports) },
    text: `EXPOSE ${goList([...ports].sort())}`,
  };
}

function parsePort(text: string, word: Word): string[] {
  const wrong = (why: string) =>
    new KbuildError("build.port", `"${shown(text)}" is not a port: ${why}`, {
      location: word.location,
      hint: "write PORT, PORT/udp or FIRST-LAST, for instance EXPOSE 80 443/tcp 8000-8010/udp",
    });
  const slash = text.indexOf("/");
  // A slash with nothing behind it says no other protocol than none does, as docker has it.
  const protocol = (slash < 0 ? "" : text.slice(slash + 1)).toLowerCase() || "tcp";
  const [port = "", host = "", ...address] = (slash < 0 ? text : text.slice(0, slash)).split(":").reverse();
  if (!["tcp", "udp", "sctp"].includes(protocol))
    throw wrong(`the protocol is ${shown(protocol)}, not tcp, udp or sctp`);
  const [first, last] = portRange(port, wrong);
  if (host !== "") {
    const [hostFirst, hostLast] = portRange(host, wrong);
    // One port may be given any of several at the host.
    if (first !== last && hostLast - hostFirst !== last - first) throw wrong("its ranges are not equally long");
  }
  const ip = address.reverse().join(":");
  if (ip !== "" && net().isIP(ip.replace(/^\[(.*)\]$/, "$1")) === 0) throw wrong(`${shown(ip)} is no address`);
  return Array.from({ length: last - first + 1 }, (_, offset) => `${first + offset}/${protocol}`);
}

/** The first and the last port of `80` or `8000-8002`. */
function portRange(text: string, wrong: (why: string) => KbuildError): readonly [number, number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) throw wrong("it is no number");
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first > 65535 || last > 65535) throw wrong("ports go up to 65535");
  if (last < first) throw wrong("the range ends before it begins");
  return [first, last];
}

function volume(instruction: VolumeInstruction, config: ContainerConfig, expand: Expand): ConfigChange {
  const paths = instruction.paths.map((word) => {
    const path = expand(word).trim();
    if (path === "") throw new KbuildError("build.blankName", "a VOLUME is blank", { location: word.location });
    return path;
  });
  return { config: { ...config, Volumes: withKeys(config.Volumes, paths) }, text: `VOLUME ${goList(paths)}` };
}

/** A set as Go's JSON has it. Made from pairs, as a key may be called `__proto__`. */
function withKeys(known: KeySet | undefined, keys: Iterable<string>): KeySet {
  const added = [...keys].map((key): readonly [string, Record<string, never>] => [key, {}]);
  return { ...known, ...Object.fromEntries(added) };
}

type KeySet = Readonly<Record<string, Record<string, never>>>;

function healthcheck(instruction: HealthcheckInstruction): Healthcheck {
  const { check } = instruction;
  if (check === "NONE") return { Test: ["NONE"] };
  return {
    Test: check.form === "exec" ? ["CMD", ...check.words] : ["CMD-SHELL", check.text],
    ...(instruction.interval === undefined ? {} : { Interval: instruction.interval }),
    ...(instruction.timeout === undefined ? {} : { Timeout: instruction.timeout }),
    ...(instruction.startPeriod === undefined ? {} : { StartPeriod: instruction.startPeriod }),
    ...(instruction.startInterval === undefined ? {} : { StartInterval: instruction.startInterval }),
    ...(instruction.retries === undefined ? {} : { Retries: instruction.retries }),
  };
}

/** Go's `%v` of docker's health configuration, as docker's history has it. */
function healthcheckText(check: Healthcheck): string {
  const durations = [check.Interval, check.Timeout, check.StartPeriod, check.StartInterval].map((value) =>
    goQuote(goDuration(value ?? 0)),
  );
  return `&{${goQuotedList(check.Test)} ${durations.join(" ")} ${goQuoteCharacter(check.Retries ?? 0)}}`;
}

const SIGNALS = new Set(
  "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX".split(
    " ",
  ),
);

function checkSignal(text: string, word: Word): void {
  const isNumber = /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 64;
  const name = text.toUpperCase().replace(/^SIG/, "");
  if (isNumber || SIGNALS.has(name) || /^RT(MIN\+([1-9]|1[0-5])|MAX-([1-9]|1[0-4]))$/.test(name)) return;
  throw new KbuildError("build.signal", `"${shown(text)}" is not a signal`, {
    location: word.location,
    hint: "write a name such as SIGTERM or a number from 1 to 64",
  });
}
