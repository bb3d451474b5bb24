import type { Location } from "../../errors.ts";
import { identityOf, type Part } from "../../layers/identity.ts";
import type { RunInstruction, Word } from "../../parser/instructions.ts";
import type { FileReader } from "../accounts.ts";
import type { SourceTree } from "../copy/sources.ts";
import { joinAbsolute } from "../image-path.ts";
import type { ImageState, Scope } from "../state.ts";
import type { RunStep } from "../steps/run.ts";
import { runCommand, runHistory } from "./command.ts";
import { runEnvironment } from "./environment.ts";
import type { RunSettings } from "./limits.ts";
import { type MountRequest, mountRequests } from "./mount-requests.ts";
import { findMountSource, type MountSource } from "./mount-source.ts";
import type { StepMount } from "./mounts.ts";
import { HOSTNAME, hostsFile, resolverFile } from "./name-files.ts";
import { runPermissions } from "./permissions.ts";
import { type Secrets, stepSecret } from "./secrets.ts";
import { stepAgent } from "./ssh.ts";
import { findProcessUser } from "./user.ts";
import type { Process } from "./worker.ts";

/** What a build has for its processes. */
export interface RunSupplies {
  readonly settings: RunSettings;
  /** Proxies in both spellings, as every process sees them. */
  readonly proxies: ReadonlyMap<string, string>;
  readonly secrets: Secrets;
  /** Path of an agent's socket; undefined when the build was given none of that id. */
  readonly agent: (id: string) => Promise<string | undefined>;
  /** What keeps a build's cache mounts apart from others of the same ids: BUILDKIT_CACHE_MOUNT_NS. */
  readonly cacheNamespace: string | undefined;
}

/** Where in a stage a RUN stands. */
export interface RunPlace {
  readonly state: ImageState;
  readonly scope: Scope;
  readonly read: FileReader;
  readonly expand: (word: Word) => string;
  readonly sourceTree: (from: Word | undefined, location: Location) => Promise<SourceTree>;
}

/**
 * Reads a RUN for where it stands: the command, the user, the variables, and what its mounts take in.
 * @throws KbuildError `build.mount`, `build.missingFile`, `build.unknownUser`, `build.secret`, `build.ssh`, `build.notAllowed`
 */
export async function prepareRun(
  instruction: RunInstruction,
  place: RunPlace,
  supplies: RunSupplies,
): Promise<Omit<RunStep, "place" | "useCache" | "explain" | "warn">> {
  const { config } = place.state;
  const { settings } = supplies;
  const { network, security } = runPermissions(instruction, settings);
  const directory = joinAbsolute("/", config.WorkingDir ?? "/");
  const user = await findProcessUser(config.User ?? "", place.read);
  const requests = mountRequests(instruction.mounts, directory, place.expand);
  const found = await Promise.all(requests.map((request) => findMount(request, place, supplies)));
  const command = runCommand(instruction, config);
  const environment = runEnvironment({
    scope: place.scope,
    home: user.home,
    proxies: supplies.proxies,
    agent: requests.find((request) => request.kind === "ssh")?.target,
    secrets: new Map(found.flatMap(({ variable }) => (variable === undefined ? [] : [variable]))),
  });
  const { limits, sharedMemory, group } = settings;
  const plan: Process["plan"] = {
    hostname: settings.hostname,
    network,
    command: command.argv,
    environment: environment.variables,
    directory,
    uid: user.uid,
    gid: user.gid,
    groups: user.groups,
    security,
    limits,
    sharedMemory,
    ...(group === undefined ? {} : { group }),
  };
  const files = systemFiles(settings, network, command.script);
  return {
    instruction: runHistory(command, place.scope),
    inputs: [
      "RUN",
      instruction.command.form,
      command.argv,
      command.script?.content,
      config.User,
      directory,
      network,
      security,
      found.map(({ key }) => key),
      settings.hosts.map(({ host, address }) => [host, address]),
      ...(settings.hostname === HOSTNAME ? [] : [settings.hostname]),
    ],
    variables: environment.keyed,
    described: ["RUN", ...command.argv].join(" "),
    settings: settingsOf(config.User ?? "", directory, { network, security }, command.script?.content, found),
    plan,
    isShell: instruction.command.form !== "exec",
    mounts: [...files, ...found.flatMap(({ mount }) => (mount === undefined ? [] : [mount]))],
    mounted: identityOf(found.map(({ source }) => source?.content)),
    secrets: found.flatMap(({ secret }) => (secret === undefined ? [] : [secret])),
    keepFailed: settings.keepFailed ? { ...plan, environment: environment.keyed } : undefined,
  };
}

/** What of a step's key a person has a name for, besides the command and the variables. */
function settingsOf(
  user: string,
  directory: string,
  permissions: ReturnType<typeof runPermissions>,
  script: string | undefined,
  found: readonly FoundMount[],
): ReadonlyMap<string, Part> {
  return new Map<string, Part>([
    ["USER", user],
    ["WORKDIR", directory],
    ["--network", permissions.network],
    ["--security", permissions.security],
    ["the script", script],
    ...found.map(({ name, key }): [string, Part] => [`the mount ${name}`, key]),
    ...found.map(({ name, source }): [string, Part] => [`what is mounted at ${name}`, source?.content]),
  ]);
}

/** Files that every step sees and no layer has. */
function systemFiles(
  settings: RunSettings,
  network: "host" | "none",
  script: ReturnType<typeof runCommand>["script"],
): StepMount[] {
  const file = (target: string, content: string, mode: number): StepMount => {
    return { kind: "file", target, content: Buffer.from(content), mode, uid: 0, gid: 0, isSecret: false };
  };
  const scripts = script === undefined ? [] : [file(script.path, script.content, script.mode)];
  return [
    file("/etc/resolv.conf", resolverFile(network), 0o644),
    file("/etc/hosts", hostsFile(settings.hosts, settings.hostname), 0o644),
    ...scripts,
  ];
}

/** A mount with what it takes in, and its part of the step's key: of a secret, an agent and a cache only the id counts. */
interface FoundMount {
  /** The target, or what else tells it from the others. */
  readonly name: string;
  readonly key: Part;
  readonly mount: StepMount | undefined;
  readonly source?: MountSource | undefined;
  readonly variable?: readonly [string, string] | undefined;
  /** The text that must not be seen in the log. */
  readonly secret?: string | undefined;
}

async function findMount(request: MountRequest, place: RunPlace, supplies: RunSupplies): Promise<FoundMount> {
  switch (request.kind) {
    case "bind": {
      const { target, writable } = request;
      const source = await sourceOf(request, place);
      return {
        name: target,
        key: ["bind", target, writable],
        mount: { kind: "bind", target, writable, source },
        source,
      };
    }
    case "cache": {
      const { target, sharing, readOnly, mode, uid, gid } = request;
      const { cacheNamespace } = supplies;
      const id = cacheNamespace ? `${cacheNamespace}/${request.id}` : request.id;
      const source = request.from === undefined ? undefined : await sourceOf(request, place);
      const mount: StepMount = { kind: "cache", target, id, sharing, readOnly, mode, uid, gid, source };
      return { name: target, key: ["cache", target, id], mount, source };
    }
    case "tmpfs":
      return {
        name: request.target,
        key: ["tmpfs", request.target, request.size],
        mount: { kind: "tmpfs", target: request.target, size: request.size },
      };
    case "secret": {
      const { id, target, variable } = request;
      const found = stepSecret(request, supplies.secrets.get(id));
      const key = ["secret", id, target, variable];
      const name = target ?? `$${variable}`;
      return { name, key, mount: found?.mount, variable: found?.variable, secret: found?.secret };
    }
    case "ssh":
      return {
        name: request.target,
        key: ["ssh", request.target, request.id],
        mount: stepAgent(request, await supplies.agent(request.id)),
      };
  }
}

async function sourceOf(
  { from, source, location }: { readonly from: Word | undefined; readonly source: string; readonly location: Location },
  place: RunPlace,
): Promise<MountSource> {
  return findMountSource(await place.sourceTree(from, location), source, location);
}
