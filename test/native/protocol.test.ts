import { readFileSync } from "node:fs";
import * as path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EntryTable } from "../../src/layers/entry-table.ts";
import { FrameReader } from "../../src/native/frames.ts";
import { PROTOCOL_VERSION, type Reply } from "../../src/native/protocol.ts";
import { frame, type RawCore, withCore } from "../support/raw-core.ts";
import { HOME, plant, workspace } from "../support/workspace.ts";

const Protocol = suite("protocol");
const folder = plant(path.join(workspace("kbuild-protocol"), "context"), { a: "a" });
const scan = {
  op: "scan",
  id: 1,
  root: folder,
  selections: [{ segments: [], followLast: true }],
  ignore: [],
  digest: true,
};

/** The field names of a reply or request that `protocol.ts` declares, without those that may be absent. */
function declared(name: string): string[] {
  const source = readFileSync(path.join(HOME, "src/native/protocol.ts"), "utf8");
  const body = new RegExp(`export interface ${name} \\{(.*?)^\\}`, "ms").exec(source)?.[1] ?? "";
  return [...body.matchAll(/^ {2}readonly (\w+):/gm)].map((match) => match[1] ?? "").sort();
}

async function hello(core: RawCore): Promise<void> {
  assert.is((await core.next())?.head.reply, "hello");
}

Protocol("the core greets with the version of this protocol", async () => {
  await withCore({}, async (core) => {
    const head = (await core.next())?.head;
    assert.is(head?.reply, "hello");
    assert.is(head?.reply === "hello" && head.protocol, PROTOCOL_VERSION);
    assert.equal(Object.keys(head ?? {}).sort(), declared("Hello"));
    assert.is((await core.end()).status, 0, "it ends when its input does");
  });
});

Protocol("replies have the fields that are declared", async () => {
  await withCore({}, async (core) => {
    core.send(scan);
    const scanned = await core.answer();
    assert.equal(Object.keys(scanned.head).sort(), declared("Scanned"));
    assert.is(new EntryTable(scanned.body).length, 2);
    core.send({ ...scan, id: 2, root: "/nowhere/at/all" });
    const failed = await core.answer();
    assert.equal(Object.keys(failed.head).sort(), [...declared("Failed"), "path"].sort());
    assert.is((failed.head as { code: string }).code, "notFound");
  });
});

Protocol("each request is understood by the core: what it declares, and no more", async () => {
  const output = { path: "/nowhere/output" };
  const blob = { path: "/nowhere/blob", compression: "none" };
  const compression = { kind: "gzip", level: 6 };
  const table = { roots: [], blobs: [blob], temporary: "/nowhere" };
  const selection = {
    segments: [{ kind: "name", text: "a" }, { kind: "pattern", text: "*" }, { kind: "any" }],
    followLast: false,
  };
  const requests: readonly (readonly [string, string, object])[] = [
    ["ScanRequest", "root", { ...scan, root: "/nowhere", selections: [selection], statCache: "/nowhere/cache" }],
    ["ScanRequest", "ignore", { ...scan, root: "/nowhere", ignore: [{ pattern: "x", negated: true }] }],
    [
      "PackRequest",
      "output",
      {
        op: "pack",
        id: 1,
        output,
        compression,
        ...table,
        index: "/nowhere/i",
        purpose: "layer",
        statCache: "/nowhere/c",
        epoch: 1,
      },
    ],
    [
      "IngestRequest",
      "index",
      {
        op: "ingest",
        id: 1,
        input: "/nowhere/in",
        output: "/nowhere/out",
        index: "/nowhere/i",
        compression: "detect",
        digest: `sha256:${"0".repeat(64)}`,
        size: 1,
        diffId: `sha256:${"0".repeat(64)}`,
        tar: "/nowhere/tar",
      },
    ],
    ["ExtractRequest", "output", { op: "extract", id: 1, output: "/nowhere/output", ...table }],
    ["RecompressRequest", "input", { op: "recompress", id: 1, input: blob, output: "/nowhere/output", compression }],
  ];
  for (const [name, needed, request] of requests) {
    for (const field of declared(name)) assert.ok(field in request, `${name}.${field} is declared`);
    await withCore({}, async (core) => {
      core.send(request);
      const { head } = await core.answer();
      assert.is(head.reply, "failed", name);
      assert.is((head as { id: number }).id, 1, name);
    });
    await withCore({}, async (core) => {
      core.send({ ...request, surplus: true });
      const { status, stderr } = await core.ended;
      assert.is(status, 1, name);
      assert.match(stderr, /unknown field `surplus`/, name);
    });
    await withCore({}, async (core) => {
      core.send({ ...request, [needed]: undefined });
      const { status, stderr } = await core.ended;
      assert.is(status, 1, name);
      assert.match(stderr, new RegExp(`missing field \`${needed}\``), name);
    });
  }
});

const malformed: readonly (readonly [string, Buffer, RegExp])[] = [
  ["a head that is no JSON", frame("{"), /a request cannot be read/],
  ["a head that is no object", frame("[1]"), /a request cannot be read/],
  ["an empty head", frame(""), /a request cannot be read/],
  ["an operation that does not exist", frame({ op: "dance", id: 1 }), /unknown variant `dance`/],
  ["an id that is no number", frame({ ...scan, id: "1" }), /a request cannot be read/],
  ["an id below zero", frame({ ...scan, id: -1 }), /a request cannot be read/],
  ["a head that nests without end", frame("[".repeat(100_000)), /a request cannot be read/],
  ["a head that is too long", Buffer.from([0, 0, 0, 2, 0, 0, 0, 0]), /too long/],
  ["a body that is too long", Buffer.from([2, 0, 0, 0, 255, 255, 255, 255, 123, 125]), /too long/],
  ["lengths that are cut short", Buffer.from([1, 2, 3]), /cut short/],
  ["a frame that is cut short", frame(scan).subarray(0, 40), /cut short/],
  [
    "a name that is no text",
    frame(Buffer.from(JSON.stringify(scan).replace(folder, "\\ud800"))),
    /a request cannot be read/,
  ],
];

for (const [name, bytes, reason] of malformed) {
  Protocol(`ends with one sentence at ${name}`, async () => {
    await withCore({}, async (core) => {
      await hello(core);
      core.child.stdin.end(bytes);
      const { status, signal, stderr } = await core.ended;
      assert.is(signal, null, stderr);
      assert.is(status, 1, stderr);
      assert.match(stderr, reason);
      assert.is(stderr.trim().split("\n").length, 1, stderr);
    });
  });
}

Protocol("a piece, an end or a cancel of a request that is not there is nothing", async () => {
  await withCore({}, async (core) => {
    core.send({ op: "data", id: 9 }, Buffer.from("piece"));
    core.send({ op: "end", id: 9 });
    core.send({ op: "cancel", id: 9 });
    core.send(scan);
    assert.is((await core.answer()).head.reply, "scanned");
    assert.equal(await core.end(), { status: 0, signal: null, stderr: "" });
  });
});

Protocol("an id that is in use is refused to a second request, which harms neither the first nor others", async () => {
  await withCore({}, async (core) => {
    const ingest = { op: "ingest", id: 5, index: path.join(folder, "../index"), compression: "none" };
    core.send(ingest);
    core.send(ingest);
    const refused = (await core.answer()).head;
    assert.is(refused.reply, "failed");
    assert.is((refused as { code: string }).code, "protocol");
    core.send({ op: "cancel", id: 5 });
    assert.is(((await core.answer()).head as { code: string }).code, "cancelled");
    core.send(scan);
    assert.is((await core.answer()).head.reply, "scanned");
  });
});

Protocol("many requests at a time are answered each with its id", async () => {
  await withCore({}, async (core) => {
    const ids = Array.from({ length: 50 }, (_, number) => number + 1);
    for (const id of ids) core.send({ ...scan, id });
    const seen: number[] = [];
    for (const _ of ids) seen.push(((await core.answer()).head as { id: number }).id);
    assert.equal(
      seen.sort((a, b) => a - b),
      ids,
    );
  });
});

Protocol("frames are put together from pieces of any size", () => {
  const frames = [
    frame({ reply: "hello" }),
    frame({ reply: "scanned", id: 1 }, Buffer.alloc(1000, "x")),
    frame({ reply: "failed", id: 2 }),
  ];
  const bytes = Buffer.concat(frames);
  for (const size of [1, 2, 3, 7, 8, 9, 64, 1021, bytes.length]) {
    const seen: [Reply["reply"], number][] = [];
    const reader = new FrameReader((reply, body) => seen.push([reply.reply, body.length]));
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    assert.equal(
      seen,
      [
        ["hello", 0],
        ["scanned", 1000],
        ["failed", 0],
      ],
      `pieces of ${size}`,
    );
  }
});

Protocol.run();
