import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Account } from "./accounting.ts";
import type { Action, Case } from "./cases.ts";
import type { Command, Engine, Place } from "./engines.ts";
import { type Figures, measure } from "./measure.ts";
import { freshFolder, type Person } from "./person.ts";
import { type Runner, sum } from "./runner.ts";
import { removeStore } from "./services.ts";
import { type Base, baseOf, contextOf, type Setting, TRIAL, workloadOf } from "./setting.ts";
import { archiveHas, checkLayers, readArchive, WrongImage } from "./verify.ts";

export interface Contender extends Runner {
  /** Builds the smallest image there is, from nothing. Throws if the engine cannot do even that. */
  tryOut(): Promise<void>;
  /** The first line that it prints about its version. */
  version(): string;
  /** Removes its store. */
  close(): void;
}

/** A builder in the bench: brings it to a start state, times it, and looks at what it made. */
export function contender(
  engine: Engine,
  person: Person,
  account: Account,
  socket: string,
  setting: Setting,
): Contender {
  const { places, registry, patience, signal } = setting;
  const store = path.join(places.stores, engine.name);
  const out = path.join(places.out, engine.name);
  const archive = path.join(out, "image.tar");
  const primer = path.join(places.runtime, `primer-${engine.name}`);
  const isArchive = (action: Action): boolean => action === "archive";
  /** The diff IDs of the image that this engine made last for the case at hand. */
  let before: readonly string[] | undefined;

  const place = (name: string, context: string): Place => ({
    tag: `${registry}/out/${name.toLowerCase()}:1`,
    context,
    archive,
    store,
    registry,
    socket,
  });
  const placeOf = (each: Case): Place => place(each.workload, contextOf(places, each));
  const environment = (at: Place): Readonly<Record<string, string>> => ({
    PATH: process.env.PATH ?? "",
    HOME: person.home,
    USER: person.name,
    XDG_RUNTIME_DIR: person.runtime,
    DOCKER_CONFIG: person.runtime,
    LANG: "C.UTF-8",
    ...engine.env(at),
  });

  async function execute(commands: readonly Command[], at: Place): Promise<Figures> {
    const parts: Figures[] = [];
    for (const command of commands) {
      const options = {
        account,
        person,
        env: environment(at),
        cwd: out,
        log: places.log,
        patience,
        signal,
      };
      parts.push(await measure(command, options));
    }
    return sum(parts);
  }

  function ask(command: Command, at: Place): string {
    const [program = "", ...argv] = command;
    const options = { env: environment(at), cwd: out, encoding: "utf8", timeout: patience * 1000 } as const;
    return execFileSync(program, argv, { ...options, ...person.become, stdio: ["ignore", "pipe", "pipe"] });
  }

  async function reset(): Promise<void> {
    freshFolder(out, person);
    if (engine.daemon) {
      fs.mkdirSync(store, { recursive: true });
      await execute(engine.reset(place("none", out)), place("none", out));
      return;
    }
    close();
    freshFolder(store, person);
  }

  function close(): void {
    // Root can remove anything. A daemon's folder goes when it stops.
    if (!engine.daemon) removeStore(store, setting.persons.root ? undefined : engine.remove(store));
  }

  async function prime(base: Base): Promise<void> {
    fs.mkdirSync(primer, { recursive: true });
    fs.writeFileSync(path.join(primer, "Dockerfile"), `FROM ${registry}/${base.repository}:1\nLABEL primed=1\n`);
    const at = place("primed", primer);
    await execute(engine.build(at), at);
  }

  const perform = (each: Case): Promise<Figures> => {
    const at = placeOf(each);
    return execute(isArchive(each.action) ? engine.archive(at) : engine.build(at), at);
  };

  /** The layers of the image that is there now; in the first round also whether the files that were copied are in it. */
  function layersOf(each: Case, round: number): readonly string[] {
    if (!isArchive(each.action)) {
      const at = placeOf(each);
      return engine.identity(ask(engine.inspect(at), at));
    }
    const { layers, diffIds } = readArchive(archive);
    const { proof } = workloadOf(each);
    if (round === 0 && !archiveHas(archive, layers, proof, out)) throw new WrongImage(`no layer has ${proof}`);
    return diffIds;
  }

  async function check(each: Case, round: number): Promise<void> {
    const now = layersOf(each, round);
    const mayEqual = each.edit ? "must not" : each.start === "built" ? "must" : "may";
    if (engine.hasDiffIds) {
      checkLayers(now, before, { baseLayers: baseOf(setting, workloadOf(each).base).blobs.length, mayEqual });
    }
    before = now;
    freshFolder(out, person);
  }

  return {
    name: engine.name,
    takes: () => true,
    async prepare(each) {
      before = undefined;
      if (each.start !== "built") return;
      await reset();
      await perform(each);
      await check(each, 0);
    },
    async ready(each) {
      if (each.start !== "built") await reset();
      if (each.start === "primed") await prime(baseOf(setting, workloadOf(each).base));
      freshFolder(out, person);
      // What was written until now is not to slow down what is timed.
      execFileSync("sync");
    },
    async run(each) {
      const figures = await perform(each);
      return isArchive(each.action) ? { ...figures, bytes: fs.statSync(archive).size } : figures;
    },
    check,
    async tryOut() {
      await reset();
      await prime(baseOf(setting, TRIAL));
      const at = place("primed", primer);
      if (engine.identity(ask(engine.inspect(at), at)).length === 0) throw new WrongImage("the image has no layers");
    },
    version() {
      const at = place("none", out);
      return ask(engine.version(), at).trim().split("\n", 1)[0] ?? "";
    },
    close,
  };
}
