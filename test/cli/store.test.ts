import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Diagnosis, PruneOptions, StoreReport } from "../../src/api.ts";
import { duration, size } from "../../src/cli/values.ts";
import { KbuildError } from "../../src/errors.ts";
import { runCommand } from "../support/fake-shell.ts";

const StoreCommands = suite("doctor, fsck and prune");

const IDS = [
  { inside: 0, outside: 1000, count: 1 },
  { inside: 1, outside: 100_000, count: 65_536 },
];
const MACHINE = {
  store: { path: "/home/ann/store", fileSystem: "ext4", free: 12_300_000_000 },
  kernel: "6.1.0",
  user: { uid: 1000, name: "ann" },
} as const;
const GOOD: Diagnosis = {
  ...MACHINE,
  sandbox: {
    mode: "userns",
    strategy: "overlay",
    owners: "real",
    warnings: [],
    checks: [{ name: "network", ok: false, call: "unshare(CLONE_NEWNET)", error: "EPERM" }],
    entry: { mode: "userns", uids: IDS, gids: IDS },
  },
  refusals: [],
};
const CHROOT: Diagnosis = {
  ...MACHINE,
  sandbox: {
    mode: "chroot",
    strategy: "copy",
    owners: "real",
    warnings: [],
    checks: [{ name: "overlay", ok: false, error: "EPERM" }],
    entry: { mode: "chroot", uids: [], gids: [] },
  },
  refusals: [{ mode: "userns", reason: "it is refused (unshare: EPERM)", remedy: "--security-opt seccomp=unconfined" }],
};
const NONE: Diagnosis = {
  ...MACHINE,
  refusals: [...CHROOT.refusals, { mode: "emulated", reason: "not \u001b[31mthere" }],
};

StoreCommands("doctor tells of the mode, and of what is missing in it", async () => {
  const { status, stdout, stderr } = await runCommand(["doctor"], { engine: { doctor: async () => GOOD } });
  assert.is(status, 0);
  assert.is(stderr, "");
  assert.is(
    stdout,
    [
      "RUN is run in the mode userns: a user namespace with a range of ids.",
      "",
      "  files    layers are unpacked once and stacked by overlayfs",
      "  ids      65537 users and 65537 groups",
      "  store    /home/ann/store (ext4, 12.3GB free)",
      "  kernel   6.1.0",
      "  user     ann (uid 1000)",
      "  note     RUN --network=none cannot be had (unshare(CLONE_NEWNET): EPERM)",
      "",
    ].join("\n"),
  );
});

StoreCommands("doctor tells of each better mode why not, and what would change it", async () => {
  const { status, stdout } = await runCommand(["doctor"], { engine: { doctor: async () => CHROOT } });
  assert.is(status, 0);
  assert.match(stdout, /^RUN is run in the mode chroot: root in a changed root/);
  assert.match(
    stdout,
    /\n\nBetter modes:\n {2}userns {3}it is refused \(unshare: EPERM\)\n {11}to have it: --security-opt seccomp=unconfined\n$/,
  );
  assert.not.match(stdout, /note|ids/);
});

StoreCommands(
  "without a mode doctor fails with 4, having told of all; nothing of it controls the terminal",
  async () => {
    const { status, stdout, stderr } = await runCommand(["doctor"], { engine: { doctor: async () => NONE } });
    assert.is(status, 4);
    assert.match(stdout, /^RUN cannot be run here\. Builds without RUN can\.\n/);
    assert.match(stdout, /emulated not \\x1b\[31mthere\n$/);
    assert.match(stderr, /^error: RUN cannot be run on this machine\n$/);
  },
);

StoreCommands("doctor gives JSON, and the plan alone", async () => {
  const engine = { doctor: async () => CHROOT };
  assert.equal(JSON.parse((await runCommand(["doctor", "--json"], { engine })).stdout), CHROOT);
  assert.equal(JSON.parse((await runCommand(["doctor", "--plan"], { engine })).stdout), CHROOT.sandbox?.entry);
  const none = await runCommand(["doctor", "--json"], { engine: { doctor: async () => NONE } });
  assert.is(none.status, 4);
  assert.equal(JSON.parse(none.stdout), NONE);
  assert.is((JSON.parse(none.stderr) as { code: string }).code, "machine.noSandbox");
});

StoreCommands("doctor passes on which mode to look at", async () => {
  const asked: unknown[] = [];
  const engine = {
    doctor: async (options: { readonly isolation?: string | undefined } = {}) => {
      asked.push(options.isolation);
      return GOOD;
    },
  };
  await runCommand(["doctor", "--isolation", "single"], { engine });
  assert.equal(asked, ["single"]);
  assert.is((await runCommand(["doctor", "--isolation", "hyperv"], { engine })).status, 2);
});

const CHECKED = { images: 1, blobs: 3, bytes: 4096, records: 2, layers: 1 };

function report(...findings: StoreReport["findings"]): StoreReport {
  return { root: "/store", findings, checked: CHECKED };
}

const BLOB = {
  kind: "blob",
  severity: "damage",
  subject: "blobs/sha256/a",
  message: "it is\u0007bad",
  repaired: false,
} as const;
const LEFT = { kind: "leftover", severity: "leftover", subject: "tmp/x", message: "left", repaired: false } as const;

for (const [what, argv, found, status, out, err] of [
  [
    "a sound store",
    [],
    report(),
    0,
    /^Checked \/store: 1 image, 3 blobs \(4\.1kB\), 2 cache records, 1 layer\.\nNo damage\.\n$/,
    /^$/,
  ],
  [
    "damage",
    [],
    report(BLOB, LEFT),
    1,
    /^blobs\/sha256\/a: it is\\x07bad\ntmp\/x: left\n.*\n1 damaged, 1 leftover \(kbuild prune removes them\)\.\n$/,
    /1 thing in the store is damaged\n {2}hint: kbuild fsck --repair/,
  ],
  ["leftovers alone", [], report(LEFT), 0, /\nNo damage, 1 leftover \(kbuild prune/, /^$/],
  [
    "what was repaired",
    ["--repair"],
    report({ ...BLOB, repaired: true }),
    0,
    /^blobs\/sha256\/a: it is\\x07bad \(removed\)\n/,
    /^$/,
  ],
  [
    "what could not be repaired",
    ["--repair"],
    report(BLOB, BLOB),
    1,
    /2 damaged/,
    /2 things in the store are damaged\n$/,
  ],
] as const) {
  StoreCommands(`fsck tells of ${what}, with the status ${status}`, async () => {
    const told = await runCommand(["fsck", ...argv], { engine: { checkStore: async () => found } });
    assert.is(told.status, status);
    assert.match(told.stdout, out);
    assert.match(told.stderr, err);
    const json = await runCommand(["fsck", "--json", ...argv], { engine: { checkStore: async () => found } });
    assert.equal(JSON.parse(json.stdout), found);
    assert.is(json.status, status);
  });
}

function pruning() {
  const asked: PruneOptions[] = [];
  const prune = async (options: PruneOptions = {}) => {
    asked.push(options);
    return { removed: [{ kind: "blob", subject: "blobs/x\u001b", size: 1500 }], reclaimed: 1500 } as const;
  };
  return { asked, engine: { prune } };
}

StoreCommands("prune says what it has freed, and with --verbose each of it", async () => {
  const { asked, engine } = pruning();
  const told = await runCommand(["prune", "-a", "-f", "--filter", "until=1h30m", "--keep-storage", "10GB"], { engine });
  assert.equal([told.status, told.stdout, told.stderr], [0, "Total reclaimed space: 1.5kB\n", ""]);
  const [{ all, unusedFor, keep } = {}] = asked;
  assert.equal([all, unusedFor, keep], [true, 5_400_000, 10 * 1024 ** 3]);
  const verbose = await runCommand(["prune", "--verbose"], { engine });
  assert.is(verbose.stdout, "Deleted: blob blobs/x\\x1b (1.5kB)\nTotal reclaimed space: 1.5kB\n");
});

for (const [answer, isDone] of [
  ["y\n", true],
  ["YES\n", true],
  ["n\ny\n", false],
  ["\n", false],
  ["", false],
] as const) {
  StoreCommands(
    `prune asks on a terminal, and takes ${JSON.stringify(answer)} for ${isDone ? "yes" : "no"}`,
    async () => {
      const { asked, engine } = pruning();
      const told = await runCommand(["prune"], { engine, stdin: answer, terminal: { columns: 80 } });
      assert.is(told.status, 0);
      assert.match(
        told.stdout,
        /^WARNING! This will remove all dangling build cache\.\nAre you sure you want to continue\? \[y\/N\] /,
      );
      assert.is(asked.length, isDone ? 1 : 0);
    },
  );
}

StoreCommands("prune -f does not ask", async () => {
  const { asked, engine } = pruning();
  await runCommand(["prune", "-f"], { engine, terminal: { columns: 80 } });
  assert.is(asked.length, 1);
});

StoreCommands("prune knows docker's filters, and names those that it does not", async () => {
  const { asked, engine } = pruning();
  await runCommand(["prune", "--filter", "type=exec.cachemount", "--filter", "type=source.local"], { engine });
  assert.equal(asked[0]?.kinds, ["cacheMount", "context"]);
  for (const [filter, message] of [
    ["untl=1h", /did you mean until\?/],
    ["until=soon", /this is no duration/],
    ["type=x", /there is no such type/],
  ] as const) {
    const told = await runCommand(["prune", "--filter", filter], { engine });
    assert.is(told.status, 2);
    assert.match(told.stderr, message);
  }
});

StoreCommands("prune fails with 4 when something could not be removed", async () => {
  const stuck = { paths: ["/store/tmp/a"], reason: "EACCES" };
  const engine = { prune: async () => ({ removed: [], reclaimed: 0, stuck }) };
  const told = await runCommand(["prune"], { engine });
  assert.is(told.status, 4);
  assert.match(told.stdout, /^Total reclaimed space: 0B\n$/);
  assert.match(told.stderr, /1 folder in the store's tmp could not be removed: EACCES/);
});

for (const [text, expected] of [
  ["512", 512],
  ["1k", 1024],
  ["1.5 MB", 1_572_864],
  ["10GiB", 10 * 1024 ** 3],
  ["2tb", 2 * 1024 ** 4],
  ["0", 0],
  ["x", undefined],
  ["-1", undefined],
  ["1x", undefined],
  ["99999999999999p", undefined],
] as const) {
  StoreCommands(`the size ${text} is ${expected ?? "none"}`, () => {
    if (expected === undefined)
      assert.throws(
        () => size(text, "--keep"),
        (error: unknown) => error instanceof KbuildError,
      );
    else assert.is(size(text, "--keep"), expected);
  });
}

for (const [text, expected] of [
  ["24h", 86_400_000],
  ["1h30m", 5_400_000],
  ["1.5s", 1500],
  ["20ms", 20],
  ["", undefined],
  ["24", undefined],
  ["h", undefined],
  ["1d", undefined],
  ["1h x", undefined],
] as const) {
  StoreCommands(`the duration ${JSON.stringify(text)} is ${expected ?? "none"}`, () => {
    if (expected === undefined)
      assert.throws(
        () => duration(text, "--x"),
        (error: unknown) => error instanceof KbuildError,
      );
    else assert.is(duration(text, "--x"), expected);
  });
}

StoreCommands.run();
