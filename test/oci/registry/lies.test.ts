import { randomBytes } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parsePlatform } from "../../../src/oci/platform.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { type Descriptor, MediaType } from "../../../src/oci/types.ts";
import {
  answering,
  cutting,
  hangUp,
  type Lie,
  type LyingRegistry,
  silence,
  startLyingRegistry,
  trickling,
} from "../../support/lying-registry.ts";
import { freePort, type TestBlob, type TestImage, testBlob, testImage, testIndex } from "../../support/registry.ts";
import { AMD64, collect, failure, QUICK, withClient } from "./helpers.ts";

const test = suite<{ registry: LyingRegistry; other: LyingRegistry }>("a registry that lies");

test.before.each(async (context) => {
  context.registry = await startLyingRegistry();
  context.other = await startLyingRegistry();
});
test.after.each(async ({ registry, other }) => {
  await Promise.all([registry.stop(), other.stop()]);
});

const LAYER = randomBytes(300_000);
const ZERO = `sha256:${"0".repeat(64)}` as const;

/** An image whose one layer is incompressible, and the layer as it is sent. */
function sample(): { image: TestImage; layer: TestBlob } {
  const image = testImage([LAYER]);
  return { image, layer: image.layers[0] as TestBlob };
}

// ------------------------------------------------------------------ manifests

const base = testImage();
const config = base.config.descriptor;
const layer = base.layers[0]?.descriptor as Descriptor;
const manifestOf = (changes: object): object => ({
  schemaVersion: 2,
  mediaType: MediaType.ociManifest,
  config,
  layers: [layer],
  ...changes,
});
const OCI = MediaType.ociManifest;

// Each row: what is lied about, the body and type that come, and what the error says.
for (const [name, type, body, code, message] of [
  ["garbage", OCI, "{garbage", "registry.invalid", "it is not JSON"],
  ["an HTML page", "text/html", "<html>welcome to the hotel</html>", "registry.invalid", "it is not JSON"],
  ["invalid UTF-8", OCI, Buffer.from([0x7b, 0xff, 0x7d]), "registry.invalid", "it is not JSON"],
  ["nothing", OCI, "", "registry.invalid", "it is not JSON"],
  ["a list", OCI, [], "registry.invalid", "it is no JSON object"],
  ["null", OCI, "null", "registry.invalid", "it is no JSON object"],
  ["no schema version", OCI, manifestOf({ schemaVersion: undefined }), "registry.invalid", '"schemaVersion"'],
  [
    "schema 1 by its type",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "{}",
    "registry.invalid",
    "schema 1",
  ],
  ["schema 1 by its content", "application/json", { schemaVersion: 1 }, "registry.invalid", "schema 1"],
  ["an index's type on a manifest", MediaType.ociIndex, manifestOf({}), "registry.invalid", "and also"],
  ["a manifest's type on an index", OCI, { schemaVersion: 2, manifests: [] }, "registry.invalid", "it is an index"],
  ["both at once", OCI, manifestOf({ manifests: [] }), "registry.invalid", "an index and a manifest at once"],
  [
    "an artifact",
    OCI,
    manifestOf({ config: { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" } }),
    "registry.invalid",
    'it is no image, its config is "application/vnd.cncf.helm',
  ],
  [
    "another kind of document",
    "application/json",
    { schemaVersion: 2, mediaType: "application/x" },
    "registry.invalid",
    'it is no image but "application/x"',
  ],
  ["no config", OCI, manifestOf({ config: undefined }), "registry.invalid", 'its "config" is no descriptor'],
  ["layers of another type", OCI, manifestOf({ layers: {} }), "registry.invalid", 'its "layers" is no list'],
  ["a layer that is null", OCI, manifestOf({ layers: [null] }), "registry.invalid", 'its "layers[0]" is no descriptor'],
  [
    "a negative size",
    OCI,
    manifestOf({ layers: [{ ...layer, size: -1 }] }),
    "registry.invalid",
    'its "layers[0]" has no size',
  ],
  [
    "a fraction of a size",
    OCI,
    manifestOf({ layers: [{ ...layer, size: 1.5 }] }),
    "registry.invalid",
    'its "layers[0]" has no size',
  ],
  [
    "a size as text",
    OCI,
    manifestOf({ layers: [{ ...layer, size: "1" }] }),
    "registry.invalid",
    'its "layers[0]" has no size',
  ],
  [
    "an unsafe size",
    OCI,
    manifestOf({ layers: [{ ...layer, size: 2 ** 60 }] }),
    "registry.invalid",
    'its "layers[0]" has no size',
  ],
  [
    "a digest that climbs",
    OCI,
    manifestOf({ layers: [{ ...layer, digest: "sha256:../../etc/passwd" }] }),
    "registry.invalid",
    'its "layers[0]" has no SHA-256 digest',
  ],
  [
    "an unknown layer type",
    OCI,
    manifestOf({ layers: [{ ...layer, mediaType: "a/b\u001b[2J" }] }),
    "registry.invalid",
    'its layer 1 is "a/b\\u001b[2J", which is not known',
  ],
  [
    "a foreign layer",
    OCI,
    manifestOf({ layers: [{ ...layer, mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }] }),
    "registry.invalid",
    "which registries do not hold",
  ],
  [
    "too many layers",
    OCI,
    manifestOf({ layers: Array(1001).fill(layer) }),
    "registry.invalid",
    "it has 1001 layers, at most 1000",
  ],
  [
    "fewer layers than diff_ids",
    OCI,
    manifestOf({ layers: [] }),
    "registry.invalid",
    "it has 1 diff_ids for the 0 layers",
  ],
  [
    "a config of another size",
    OCI,
    manifestOf({ config: { ...config, size: config.size + 1 } }),
    "registry.invalid",
    `it has ${config.size} bytes, and its manifest says ${config.size + 1}`,
  ],
  [
    "a config that is longer than it says",
    OCI,
    manifestOf({ config: { ...config, size: 3 } }),
    "registry.invalid",
    "longer than the 3 bytes",
  ],
  [
    "a config of gigabytes",
    OCI,
    manifestOf({ config: { ...config, size: 2 ** 33 } }),
    "registry.invalid",
    "it has 8589934592 bytes",
  ],
  ["a giant manifest", OCI, " ".repeat(5 * 1024 * 1024), "registry.invalid", "longer than the 4194304 bytes"],
] as [string, string, string | Buffer | object, string, string][]) {
  test(`a manifest with ${name} is refused`, async ({ registry }) => {
    registry.put("image", "1", base);
    const text = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    registry.lie(/manifests/, answering(200, { "content-type": type }, text));
    await withClient(async (client) => {
      const error = await failure(client.resolve(name1(registry), AMD64), code, message);
      assert.ok(error.message.includes(registry.host), "it names the image");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are looked for
      assert.not.match(error.message, /[\u0000-\u001f]/);
    });
  });
}

test("a giant manifest without a length is given up before it is all there", async ({ registry }) => {
  let sent = 0;
  registry.lie(/manifests/, async (_, response) => {
    response.writeHead(200, { "content-type": OCI });
    while (!response.destroyed && sent < 200e6) {
      sent += 65536;
      if (!response.write(Buffer.alloc(65536, 32))) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    response.end();
  });
  await withClient((client) => failure(client.resolve(name1(registry), AMD64), "registry.invalid", "longer than"));
  assert.ok(sent < 100e6, `${sent} bytes were sent`);
});

// Each row: the config that the manifest names correctly, and what is wrong with it.
for (const [name, content, message] of [
  ["no JSON", Buffer.from("{"), "it is not JSON"],
  ["no architecture", { os: "linux", rootfs: { type: "layers", diff_ids: [] } }, 'its "architecture" is missing'],
  ["no rootfs", { os: "linux", architecture: "amd64" }, 'its "rootfs" is not of type "layers"'],
  ["diff_ids that are none", rootfs(["sha256:x"]), 'its "rootfs.diff_ids" has what is no digest'],
  ["an Env that is a text", { ...rootfs([ZERO]), config: { Env: "A=1" } }, 'its "config.Env" is no list of texts'],
  ["more diff_ids than layers", rootfs([ZERO, ZERO]), "it has 2 diff_ids for the 1 layers"],
] as [string, object, string][]) {
  test(`a config with ${name} is refused`, async ({ registry }) => {
    const made = testBlob(MediaType.ociConfig, content);
    const manifest = testBlob(OCI, manifestOf({ config: made.descriptor }));
    registry.put("image", "1", { ...base, config: made, manifest });
    await withClient((client) => failure(client.resolve(name1(registry), AMD64), "registry.invalid", message));
  });
}

for (const [name, path, lie, code, message] of [
  [
    "a manifest other than the digest asked for",
    /manifests/,
    answering(200, { "content-type": OCI }, testImage([Buffer.from("x")]).manifest.bytes),
    "registry.mismatch",
    "it has the digest sha256:",
  ],
  [
    "a config other than the manifest names",
    /blobs/,
    answering(200, {}, Buffer.alloc(config.size)),
    "registry.mismatch",
    "The config of",
  ],
  [
    "a Docker-Content-Digest of something else",
    /manifests/,
    answering(200, { "content-type": OCI, "docker-content-digest": ZERO }, base.manifest.bytes),
    "registry.mismatch",
    "The manifest of",
  ],
  [
    "a Docker-Content-Digest that is none",
    /manifests/,
    answering(200, { "content-type": OCI, "docker-content-digest": "md5:1" }, base.manifest.bytes),
    "registry.invalid",
    '"md5:1" is no digest',
  ],
] as const) {
  test(`${name} is refused`, async ({ registry }) => {
    registry.put("image", "1", base);
    registry.lie(path, lie);
    const reference = parseReference(`${registry.host}/image@${base.manifest.descriptor.digest}`);
    await withClient((client) => failure(client.resolve(reference, AMD64), code, message));
    assert.ok(registry.seen.length <= 2, "nothing is tried again");
  });
}

test("an index whose descriptor has another size than its manifest is refused", async ({ registry }) => {
  const good = testIndex({ "linux/amd64": base });
  const text = good.index.bytes.toString().replace(/"size":\d+/, '"size":7');
  registry.put("image", "1", { index: testBlob(MediaType.ociIndex, Buffer.from(text)), images: [base] });
  await withClient((client) => failure(client.resolve(name1(registry), AMD64), "registry.invalid", "its index says 7"));
});

test("indexes that lead into each other for ever are given up", async ({ registry }) => {
  let index = testIndex({ "": base });
  for (let depth = 0; depth < 3; depth++) index = testIndex({ "": index });
  registry.put("image", "1", index);
  await withClient((client) => failure(client.resolve(name1(registry), AMD64), "registry.invalid", "in an index in"));
});

test("an entry without a platform is only taken if its config is of the right one", async ({ registry }) => {
  registry.put("image", "1", testIndex({ "": base }));
  await withClient(async (client) => {
    assert.ok(await client.resolve(name1(registry), AMD64));
    const other = client.resolve(name1(registry), parsePlatform("linux/arm64"));
    await failure(other, "registry.notFound", "has no image for linux/arm64: it has linux/amd64");
  });
});

// ------------------------------------------------------------------ blobs

const { layer: real } = sample();
const bytes = real.bytes;
const half = 150_000;
const tail = bytes.subarray(half);
const partial = (from: number, to: number, total: number) => ({ "content-range": `bytes ${from}-${to}/${total}` });
const last = bytes.length - 1;

// Each row: the lies in order, and how the blob comes out: whole, or with an error.
for (const [name, lies, expected, ranges] of [
  ["is cut once, and resumed", [cutting(bytes.subarray(0, half), bytes.length)], "whole", [undefined, half]],
  [
    "is cut twice, and resumed each time",
    [
      cutting(bytes.subarray(0, half), bytes.length),
      cutting(bytes.subarray(half, half + 1000), tail.length, partial(half, last, bytes.length), 206),
    ],
    "whole",
    [undefined, half, half + 1000],
  ],
  ["is cut before the first byte", [hangUp], "whole", [undefined, undefined]],
  [
    "is cut, and the Range ignored",
    [cutting(bytes.subarray(0, half), bytes.length), answering(200, {}, bytes)],
    "whole",
    [undefined, half],
  ],
  [
    "is cut, and another part is sent than was asked for",
    [
      cutting(bytes.subarray(0, half), bytes.length),
      answering(206, partial(half - 1, last - 1, bytes.length), bytes.subarray(half - 1, last)),
    ],
    "whole",
    [undefined, half, undefined],
  ],
  [
    "is cut, and the part has no Content-Range",
    [cutting(bytes.subarray(0, half), bytes.length), answering(206, {}, tail)],
    "whole",
    [undefined, half, undefined],
  ],
  [
    "is cut, and the part is of something longer",
    [cutting(bytes.subarray(0, half), bytes.length), answering(206, partial(half, last, bytes.length + 9), tail)],
    "whole",
    [undefined, half, undefined],
  ],
  [
    "is cut, and ranges are not satisfiable",
    [cutting(bytes.subarray(0, half), bytes.length), answering(416)],
    "whole",
    [undefined, half, undefined],
  ],
  [
    "is cut, and the server is busy for a while",
    [cutting(bytes.subarray(0, half), bytes.length), answering(503), answering(429, { "retry-after": "0" })],
    "whole",
    [undefined, half, half, half],
  ],
  ["is sent in part unasked", [answering(206, partial(0, 9, bytes.length), bytes.subarray(0, 10))], "whole", undefined],
  ["ends early without a length, once", [chunked(bytes.subarray(0, half))], "whole", [undefined, half]],
  ["ends early without a length, always", Array(9).fill(chunked(bytes.subarray(0, half))), "it ends after", undefined],
  [
    "has another length",
    [answering(200, { "content-length": "10" }, "0123456789")],
    "10 bytes are sent where",
    undefined,
  ],
  [
    "is longer than it may be",
    [chunked(Buffer.concat([bytes, Buffer.from("!")]))],
    "more bytes are sent than",
    undefined,
  ],
  [
    "is longer than it may be after a resume",
    [cutting(bytes.subarray(0, half), bytes.length), chunked(Buffer.concat([bytes, bytes]))],
    "more bytes are sent than",
    undefined,
  ],
  [
    "is cut for ever at the same place",
    Array(9).fill(cutting(Buffer.alloc(0), bytes.length)),
    "the connection was cut",
    undefined,
  ],
  ["is refused for ever", Array(9).fill(answering(503)), "has a problem with The layer", undefined],
] as [string, Lie[], string, (number | undefined)[] | undefined][]) {
  test(`a blob that ${name}`, async ({ registry }) => {
    const { image } = sample();
    registry.put("image", "1", { ...image, layers: [real] });
    for (const lie of lies) registry.lie(/blobs/, lie, 1);
    await withClient(async (client) => {
      const pieces: Uint8Array[] = [];
      const reading = (async () => {
        for await (const piece of client.blob(name1(registry), real.descriptor)) pieces.push(piece);
      })();
      if (expected === "whole") await reading;
      else await failure(reading, undefined, expected);
      const got = Buffer.concat(pieces);
      assert.ok(got.length <= bytes.length, "never more than the descriptor says");
      assert.ok(got.equals(bytes.subarray(0, got.length)), "and nothing but the blob's bytes in their order");
      if (expected === "whole") assert.is(got.length, bytes.length);
    });
    if (ranges === undefined) return;
    const asked = registry.seen.map(({ headers }) => headers.range);
    assert.equal(
      asked,
      ranges.map((from) => (from === undefined ? undefined : `bytes=${from}-`)),
    );
  });
}

test("a long blob survives more cuts than there are tries, as long as it gets on", async ({ registry }) => {
  const piece = 1024 * 1024;
  const long = testBlob(MediaType.ociLayer, randomBytes(piece * 8));
  registry.put("image", "1", { ...base, layers: [long] });
  for (let from = 0; from < 7; from++) {
    const part = long.bytes.subarray(from * piece, (from + 1) * piece);
    const rest = long.bytes.length - from * piece;
    const range = partial(from * piece, long.bytes.length - 1, long.bytes.length);
    registry.lie(/blobs/, cutting(part, rest, from === 0 ? {} : range, from === 0 ? 200 : 206), 1);
  }
  await withClient(async (client) => {
    assert.ok((await collect(client.blob(name1(registry), long.descriptor))).equals(long.bytes));
  });
});

test("an empty blob is no bytes", async ({ registry }) => {
  const empty = testBlob(MediaType.ociLayer, Buffer.alloc(0));
  registry.put("image", "1", { ...base, layers: [empty] });
  await withClient(async (client) => {
    assert.is((await collect(client.blob(name1(registry), empty.descriptor))).length, 0);
  });
});

test("a reader that stops early closes the connection", async ({ registry }) => {
  let closed = false;
  registry.lie(/blobs/, (_, response) => {
    response.on("close", () => {
      closed = true;
    });
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, half));
  });
  await withClient(async (client) => {
    for await (const piece of client.blob(name1(registry), real.descriptor)) {
      assert.ok(piece.length > 0);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(closed);
  });
});

// ------------------------------------------------------------------ time

for (const [name, lie, code] of [
  ["says nothing", silence, "registry.timeout"],
  ["stops in the middle", (_: unknown, response: Parameters<Lie>[1]) => stall(response), "registry.timeout"],
  ["trickles", trickling(base.manifest.bytes, 1, 40), "registry.timeout"],
] as [string, Lie, string][]) {
  test(`a server that ${name} is given up, and tried again`, async ({ registry }) => {
    registry.put("image", "1", base);
    const timeouts = { idle: 150 };
    registry.lie(/manifests/, lie, 1);
    await withClient((client) => client.resolve(name1(registry), AMD64), { timeouts });
    registry.lie(/manifests/, lie);
    const retry = { ...QUICK, tries: 2 };
    await withClient((client) => failure(client.resolve(name1(registry), AMD64), code), { timeouts, retry });
  });
}

test("a slow reader is not a stalled server", async ({ registry }) => {
  registry.put("image", "1", { ...base, layers: [real] });
  await withClient(
    async (client) => {
      let length = 0;
      for await (const piece of client.blob(name1(registry), real.descriptor)) {
        length += piece.length;
        await new Promise((resolve) => setTimeout(resolve, 120));
      }
      assert.is(length, bytes.length);
    },
    { timeouts: { idle: 100 } },
  );
});

// Each row: what stops it, given the client's own controller and that of the one call.
for (const [name, stop] of [
  ["the build's signal", (all: AbortController) => all.abort()],
  ["the call's signal", (_: AbortController, one: AbortController) => one.abort()],
  ["closing the client", (_: AbortController, __: AbortController, close: () => Promise<void>) => void close()],
] as const) {
  for (const [when, lie] of [
    ["before an answer", silence],
    ["in the middle of a body", (_: unknown, response: Parameters<Lie>[1]) => stall(response)],
    ["while it waits to try again", answering(503, { "retry-after": "30" })],
  ] as [string, Lie][]) {
    test(`${name} stops it at once, ${when}`, async ({ registry }) => {
      registry.lie(/./, lie);
      const all = new AbortController();
      const one = new AbortController();
      await withClient(
        async (client) => {
          const start = performance.now();
          setTimeout(() => stop(all, one, () => client.close()), 60);
          const reading = collect(client.blob(name1(registry), real.descriptor, { signal: one.signal }));
          await failure(reading, "interrupted");
          assert.ok(performance.now() - start < 1000);
        },
        { signal: all.signal },
      );
    });
  }
}

test("nothing is asked when the signal has fired before", async ({ registry }) => {
  await withClient((client) => failure(client.resolve(name1(registry), AMD64), "interrupted"), {
    signal: AbortSignal.abort(),
  });
  assert.is(registry.seen.length, 0);
});

// ------------------------------------------------------------------ statuses and retries

for (const [name, lie, code, message, hint] of [
  [
    "429",
    answering(429, {}, said("TOOMANYREQUESTS", "slow down")),
    "registry.tooManyRequests",
    "slow down",
    "A login often",
  ],
  [
    "429 for two hours",
    answering(429, { "retry-after": "7200" }),
    "registry.tooManyRequests",
    "(429)",
    "It asks to wait 2 hours",
  ],
  ["500", answering(500), "registry.server", "has a problem with", undefined],
  ["502", answering(502, {}, "<html>"), "registry.server", "(502)", undefined],
  ["504", answering(504), "registry.server", "(504)", undefined],
  ["501", answering(501), "registry.server", "(501)", undefined],
  ["408", answering(408), "registry.timeout", "(408)", undefined],
  ["403", answering(403, {}, said("DENIED", "go away\u001b[31m")), "registry.denied", "go away [31m", "docker login"],
  [
    "401 without a challenge",
    answering(401),
    "registry.denied",
    "may not be read: status 401",
    "asked without credentials",
  ],
  ["404", answering(404), "registry.notFound", "was not found", "Check the spelling"],
  ["400", answering(400, {}, said("X", "bad")), "registry.invalid", "it has the status 400: bad", undefined],
  ["418", answering(418), "registry.invalid", "it has the status 418", undefined],
  ["a redirect to nowhere", answering(302), "registry.invalid", "it has the status 302", undefined],
] as [string, Lie, string, string, string | undefined][]) {
  test(`the answer ${name} is ${code}`, async ({ registry }) => {
    registry.lie(/./, lie);
    await withClient(async (client) => {
      const error = await failure(client.resolve(name1(registry), AMD64), code, message);
      assert.is(error.exitStatus, 3);
      if (hint !== undefined) assert.ok(error.hint?.includes(hint), error.hint);
    });
    const again = /^(408|429|500|502|503|504)$/.test(name);
    assert.is(registry.seen.length, again ? QUICK.tries : 1);
  });
}

test("a server that is busy for a while is asked again, and each wait is told", async ({ registry }) => {
  registry.put("image", "1", base);
  registry.lie(/manifests/, answering(503), 2);
  registry.lie(/blobs/, hangUp, 2);
  const events: { attempt: number; tries: number; delay: number; reason: string }[] = [];
  await withClient((client) => client.resolve(name1(registry), AMD64), { onRetry: (event) => events.push(event) });
  assert.equal(
    events.map(({ attempt, tries }) => [attempt, tries]),
    [2, 3, 2, 3].map((attempt) => [attempt, QUICK.tries]),
  );
  assert.match(events[0]?.reason ?? "", /has a problem with .*\/image:1 \(503\)/);
  assert.match(events[2]?.reason ?? "", /the connection was cut/);
});

test("Retry-After is waited for, as seconds and as a date", async ({ registry }) => {
  registry.put("image", "1", base);
  registry.lie(/manifests/, answering(429, { "retry-after": "1" }), 1);
  registry.lie(
    /blobs/,
    (_, response) => {
      response.writeHead(503, { "retry-after": new Date(Date.now() + 2000).toUTCString() });
      response.end();
    },
    1,
  );
  const start = performance.now();
  await withClient((client) => client.resolve(name1(registry), AMD64));
  const took = performance.now() - start;
  assert.ok(took >= 1900 && took < 5000, `${took} ms`);
});

test("a registry that is not there is said to be unreachable, with host and port", async () => {
  const port = await freePort();
  await withClient(async (client) => {
    const reference = parseReference(`127.0.0.1:${port}/image`);
    const error = await failure(client.resolve(reference, AMD64), "registry.unreachable");
    assert.is(error.message, `127.0.0.1:${port} cannot be reached: the connection was refused (ECONNREFUSED)`);
    assert.ok(error.hint);
  });
});

test("a host that is not there is asked for once", async () => {
  const events: unknown[] = [];
  await withClient(
    async (client) => {
      const reference = parseReference("no-such-host.invalid/image");
      const error = await failure(client.resolve(reference, AMD64), "registry.unreachable");
      assert.match(error.message, /^no-such-host\.invalid:443 cannot be reached: /);
    },
    { onRetry: (event) => events.push(event), retry: { tries: 2, baseDelay: 1 } },
  );
});

// ------------------------------------------------------------------ redirects

test("a redirect to another host is followed, and carries no credentials", async ({ registry, other }) => {
  const { image } = sample();
  registry.put("image", "1", { ...image, layers: [real] });
  registry.lie(/./, answering(401, { "www-authenticate": 'Basic realm="r"' }), 1);
  registry.lie(/blobs/, (request, response) =>
    answering(307, { location: `${other.url}/signed${request.url}?X=secret` })(request, response, () => {}),
  );
  const layer = new RegExp(real.descriptor.digest);
  other.lie(layer, cutting(bytes.subarray(0, half), bytes.length), 1);
  other.lie(layer, (_, response) => {
    response.writeHead(206, partial(half, last, bytes.length));
    response.end(tail);
  });
  const login = JSON.stringify({ auths: { [registry.host]: { username: "me", password: "pw" } } });
  await withClient(
    async (client) => {
      await failure(client.resolve(name1(registry), AMD64)); // The config, too, comes from the other host: no config.
      assert.ok((await collect(client.blob(name1(registry), real.descriptor))).equals(bytes));
    },
    { env: { DOCKER_AUTH_CONFIG: login } },
  );
  const basic = `Basic ${Buffer.from("me:pw").toString("base64")}`;
  assert.ok(registry.seen.slice(1).every(({ headers }) => headers.authorization === basic));
  assert.ok(other.seen.length >= 3);
  assert.ok(other.seen.every(({ headers }) => headers.authorization === undefined && headers.cookie === undefined));
});

test("a redirect within the registry keeps the credentials, a way back over another host does not", async ({
  registry,
  other,
}) => {
  registry.put("image", "1", { ...base, layers: [real] });
  registry.lie(/manifests\/1$/, answering(401, { "www-authenticate": 'Basic realm="r"' }), 1);
  registry.lie(/manifests\/1$/, answering(302, { location: `/v2/image/manifests/${base.manifest.descriptor.digest}` }));
  registry.lie(/blobs/, answering(302, { location: `${other.url}/away` }), 1);
  other.lie(/away/, answering(302, { location: `${registry.url}/v2/image/blobs/${config.digest}` }));
  const login = JSON.stringify({ auths: { [registry.host]: { username: "me", password: "pw" } } });
  await withClient((client) => client.resolve(name1(registry), AMD64), { env: { DOCKER_AUTH_CONFIG: login } });
  const sent = registry.seen.map(({ headers }) => headers.authorization !== undefined);
  assert.equal(sent, [false, true, true, true, false]);
});

test("a login that the other host asks for is not given", async ({ registry, other }) => {
  registry.lie(/./, answering(307, { location: `${other.url}/x` }));
  other.lie(/./, answering(401, { "www-authenticate": 'Basic realm="r"' }));
  const login = JSON.stringify({
    auths: { [registry.host]: { username: "me", password: "pw" }, [other.host]: { username: "me", password: "pw" } },
  });
  await withClient((client) => failure(client.resolve(name1(registry), AMD64), "registry.denied"), {
    env: { DOCKER_AUTH_CONFIG: login },
  });
  assert.ok(other.seen.every(({ headers }) => headers.authorization === undefined));
});

for (const [name, location, message] of [
  ["in a circle", "/v2/image/manifests/1", "it is the 6th redirect in a row"],
  ["to a file", "file:///etc/passwd?secret", 'it redirects to "file:///etc/passwd"'],
  ["to nonsense", "http://[", "it redirects to"],
] as const) {
  test(`a redirect ${name} is refused`, async ({ registry }) => {
    registry.lie(/./, answering(302, { location }));
    await withClient((client) => failure(client.resolve(name1(registry), AMD64), "registry.invalid", message));
    assert.ok(registry.seen.length <= 6);
  });
}

function name1(registry: LyingRegistry) {
  return parseReference(`${registry.host}/image:1`);
}

function rootfs(diffIds: readonly string[]): object {
  return { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } };
}

function said(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message }] });
}

function chunked(body: Buffer): Lie {
  return (_, response) => {
    response.writeHead(200, { "transfer-encoding": "chunked" });
    response.end(body);
  };
}

function stall(response: Parameters<Lie>[1]): void {
  response.writeHead(200, { "content-length": bytes.length });
  response.write(bytes.subarray(0, 2000));
}

test.run();
