import { execFileSync } from "node:child_process";
import * as path from "node:path";
import type { Account } from "./accounting.ts";
import type { Case } from "./cases.ts";
import { RAW } from "./engines.ts";
import { measure } from "./measure.ts";
import { freshFolder } from "./person.ts";
import type { Run, Runner } from "./runner.ts";
import { baseOf, contextOf, type Setting, workloadOf } from "./setting.ts";

/** The bare cost of each case: bench/raw, which does what no builder can do without, and nothing else. */
export function rawRunner(setting: Setting, account: Account): Runner {
  return bareRunner("raw", setting, account, {
    takes: () => true,
    command: (each, out) => {
      const { repository, digests, blobs } = baseOf(setting, workloadOf(each).base);
      const { registry } = setting;
      return [
        RAW,
        ...each.raw({ out, context: contextOf(setting.places, each), registry, repository, digests, blobs }),
      ];
    },
  });
}

/** The start of node, which every command of a program in JavaScript pays. */
export function nodeRunner(setting: Setting, account: Account): Runner {
  return bareRunner("node -e 0", setting, account, {
    takes: (each) => each.hasNode === true,
    command: () => [process.execPath, "-e", "0"],
  });
}

interface Bare {
  readonly takes: (each: Case) => boolean;
  readonly command: (each: Case, out: string) => readonly string[];
}

function bareRunner(name: string, setting: Setting, account: Account, { takes, command }: Bare): Runner {
  const { places, persons, patience, signal } = setting;
  const { user } = persons;
  const out = path.join(places.out, "bare");
  return {
    name,
    takes,
    prepare: async () => {},
    async ready(each) {
      freshFolder(out, user);
      // What a step runs in: the base's files, as a builder has them before it as well.
      const tree = path.join(out, "tree");
      if (each.inTree === true) {
        freshFolder(tree, user);
        for (const blob of baseOf(setting, workloadOf(each).base).blobs) {
          execFileSync("tar", ["-xzf", blob, "-C", tree, "--no-same-owner"], user.become);
        }
      }
      execFileSync("sync");
    },
    run: (each): Promise<Run> =>
      measure(command(each, out), {
        account,
        person: user,
        env: { PATH: process.env.PATH ?? "", HOME: user.home, LANG: "C.UTF-8" },
        cwd: out,
        log: places.log,
        patience,
        signal,
      }),
    check: async () => freshFolder(out, user),
  };
}
