import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parsePlatform } from "../../../src/oci/platform.ts";
import { canonicalName, parseReference } from "../../../src/oci/reference.ts";
import { MediaType } from "../../../src/oci/types.ts";
import { startProxy } from "../../support/lying-registry.ts";
import { makeCertificate, startRegistry, type TestRegistry, testImage, testIndex } from "../../support/registry.ts";
import { AMD64, collect, failure, withClient } from "./helpers.ts";

const test = suite("Debian's docker-registry");
const folder = mkdtempSync(join(tmpdir(), "kbuild-real-"));
let open: TestRegistry;
let closed: TestRegistry;
let secure: TestRegistry;

test.before(async () => {
  const tls = makeCertificate(folder, "DNS:registry.test,IP:127.0.0.1");
  [open, closed, secure] = await Promise.all([
    startRegistry(),
    startRegistry({ htpasswd: { alice: "open sesame" } }),
    startRegistry({ tls }),
  ]);
});
test.after(async () => {
  await Promise.all([open, closed, secure].map((registry) => registry?.stop()));
  rmSync(folder, { recursive: true, force: true });
});

for (const docker of [false, true]) {
  test(`an image of ${docker ? "Docker's" : "OCI's"} types is resolved and its layers come byte for byte`, async () => {
    const image = testImage([randomBytes(3_000_000), randomBytes(10), Buffer.alloc(0)], { docker });
    await open.put("some/image", `v${docker}`, image);
    await withClient(async (client) => {
      const reference = parseReference(`${open.host}/some/image:v${docker}`);
      const resolved = await client.resolve(reference, AMD64);
      assert.is(canonicalName(resolved.reference), `${canonicalName(reference)}@${image.manifest.descriptor.digest}`);
      assert.equal(resolved.descriptor, image.manifest.descriptor);
      assert.equal(resolved.manifestBytes, image.manifest.bytes);
      assert.equal(resolved.configBytes, image.config.bytes);
      assert.is(resolved.indexDescriptor, undefined);
      assert.equal(resolved.config.config, { Env: ["A=1"], Cmd: ["true"] });
      for (const [number, layer] of resolved.manifest.layers.entries()) {
        assert.equal(await collect(client.blob(resolved.reference, layer)), image.layers[number]?.bytes);
      }
      assert.is(await client.resolve(reference, AMD64), resolved, "asked again, nothing is asked of the registry");
    });
  });
}

test("an index gives the image of the platform, also one level further down, by tag and by digest", async () => {
  const images = {
    "linux/amd64": testImage([randomBytes(100)]),
    "linux/arm64/v8": testImage([randomBytes(100)], { platform: parsePlatform("linux/arm64") }),
    "unknown/unknown": testImage([randomBytes(100)]),
  };
  const flat = testIndex(images);
  const nested = testIndex({ "": flat }, MediaType.dockerIndex);
  await open.put("multi", "flat", flat);
  await open.put("multi", "nested", nested);
  await withClient(async (client) => {
    for (const [name, index] of [
      [":flat", flat],
      [":nested", nested],
      [`@${flat.index.descriptor.digest}`, flat],
    ] as const) {
      for (const [platform, image] of [
        ["linux/amd64", images["linux/amd64"]],
        ["linux/arm64", images["linux/arm64/v8"]],
      ] as const) {
        const resolved = await client.resolve(parseReference(`${open.host}/multi${name}`), parsePlatform(platform));
        assert.equal(resolved.manifestBytes, image.manifest.bytes);
        assert.is(resolved.reference.digest, index.index.descriptor.digest);
        assert.equal(resolved.indexBytes, index.index.bytes);
        assert.equal(resolved.indexDescriptor, index.index.descriptor);
      }
    }
    const missing = client.resolve(parseReference(`${open.host}/multi:flat`), parsePlatform("linux/s390x"));
    await failure(missing, "registry.notFound", "has no image for linux/s390x: it has linux/amd64, linux/arm64");
  });
});

test("an image that skopeo copied from a layout comes as umoci made it", async () => {
  const layout = join(folder, "layout");
  execFileSync("umoci", ["init", "--layout", layout]);
  execFileSync("umoci", ["new", "--image", `${layout}:one`]);
  const root = join(folder, "root");
  mkdirSync(root);
  writeFileSync(join(root, "hello"), "hello");
  execFileSync("umoci", ["insert", "--rootless", "--image", `${layout}:one`, join(root, "hello"), "/hello"]);
  open.copy(`oci:${layout}:one`, "from/skopeo:one");
  await withClient(async (client) => {
    const { manifest, config, reference } = await client.resolve(parseReference(`${open.host}/from/skopeo:one`), AMD64);
    assert.is(manifest.layers.length, 1);
    assert.is(config.rootfs.diff_ids.length, 1);
    for (const layer of manifest.layers) {
      const bytes = await collect(client.blob(reference, layer));
      assert.is(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, layer.digest);
    }
  });
});

test("a name that is not there is an error that says so, and what to check", async () => {
  await withClient(async (client) => {
    const error = await failure(
      client.resolve(parseReference(`${open.host}/nope`), AMD64),
      "registry.notFound",
      `${open.host}/nope:latest was not found: manifest unknown`,
    );
    assert.is(error.exitStatus, 3);
    assert.is(error.hint, "Check the spelling of the name and the tag");
    const image = testImage();
    await open.put("there", "1", image);
    const lost = { ...image.manifest.descriptor, digest: `sha256:${"0".repeat(64)}` } as const;
    const blob = collect(client.blob(parseReference(`${open.host}/there:1`), lost));
    await failure(blob, "registry.notFound", `The layer ${lost.digest} of ${open.host}/there was not found`);
  });
});

for (const [name, config, problem] of [
  ["without credentials", "{}", "there are none in"],
  ["with a wrong password", auth("alice:wrong"), "The credentials came from"],
  ["with the right password", auth("alice:open sesame"), undefined],
] as const) {
  test(`a registry with passwords, asked ${name}`, async () => {
    const home = mkdtempSync(join(folder, "home-"));
    const image = testImage([randomBytes(1000)]);
    await closed.put("private", "1", image);
    writeFileSync(join(home, "config.json"), config.replace("HOST", closed.host));
    await withClient(
      async (client) => {
        const resolving = client.resolve(parseReference(`${closed.host}/private:1`), AMD64);
        if (problem === undefined) {
          const { reference, manifest } = await resolving;
          for (const layer of manifest.layers) {
            assert.equal(await collect(client.blob(reference, layer)), image.layers[0]?.bytes);
          }
          return;
        }
        const error = await failure(resolving, "registry.denied");
        assert.ok(error.hint?.includes(problem), error.hint);
        assert.ok(error.hint?.includes(join(home, "config.json")), error.hint);
        assert.not.match(`${error.stack} ${error.hint}`, /wrong|sesame|YWxpY2U/);
      },
      { env: { DOCKER_CONFIG: home } },
    );
  });
}

test("TLS on this machine is found out, and needs no certificate that anybody knows, as with docker", async () => {
  const image = testImage();
  await secure.put("image", "1", image);
  await withClient(async (client) => {
    const resolved = await client.resolve(parseReference(`${secure.host}/image:1`), AMD64);
    assert.equal(resolved.manifestBytes, image.manifest.bytes);
  });
});

// Reached by name through a proxy, so that it counts as another machine.
for (const [name, env, insecureRegistries, code] of [
  ["nobody vouches for it", {}, [], "registry.tls"],
  ["SSL_CERT_FILE has its certificate", { SSL_CERT_FILE: join(folder, "certificate.pem") }, [], undefined],
  ["SSL_CERT_DIR has its certificate", { SSL_CERT_DIR: `/nonexistent:${folder}` }, [], undefined],
  ["it is an insecure registry", {}, ["registry.test"], undefined],
  ["SSL_CERT_FILE is not there", { SSL_CERT_FILE: "/nonexistent" }, [], "usage.certificates"],
  ["SSL_CERT_FILE is a key", { SSL_CERT_FILE: "/etc/passwd" }, [], "usage.certificates"],
] as [string, Record<string, string>, string[], string | undefined][]) {
  test(`TLS on another machine, when ${name}`, async () => {
    const proxy = await startProxy({ "registry.test:443": Number(secure.host.split(":")[1]) });
    try {
      await withClient(
        async (client) => {
          const resolving = client.resolve(parseReference("registry.test/image:1"), AMD64);
          if (code === undefined) assert.ok(await resolving);
          else {
            const error = await failure(resolving, code);
            if (code === "registry.tls") {
              assert.match(
                error.message,
                /no secure connection to registry.test: its certificate is signed by an auth/,
              );
              assert.match(error.hint ?? "", /SSL_CERT_FILE or NODE_EXTRA_CA_CERTS.*--insecure-registry registry.test/);
            }
          }
        },
        { env: { HOME: "/nonexistent", https_proxy: `http://user:p%40ss@${proxy.host}`, ...env }, insecureRegistries },
      );
      if (code !== "usage.certificates") {
        const login = Buffer.from("user:p@ss").toString("base64");
        assert.is(proxy.seen[0]?.headers["proxy-authorization"], `Basic ${login}`);
      }
    } finally {
      await proxy.stop();
    }
  });
}

test("a certificate for another host is refused", async () => {
  const proxy = await startProxy({ "other.test:443": Number(secure.host.split(":")[1]) });
  try {
    await withClient(
      (client) =>
        failure(
          client.resolve(parseReference("other.test/image:1"), AMD64),
          "registry.tls",
          "its certificate is for another host",
        ),
      { env: { HTTPS_PROXY: proxy.host, SSL_CERT_FILE: join(folder, "certificate.pem") } },
    );
  } finally {
    await proxy.stop();
  }
});

test("an insecure registry that speaks plain HTTP is found out, through a proxy that forwards", async () => {
  await open.put("plain", "1", testImage());
  const proxy = await startProxy({ "plain.test:5000": Number(open.host.split(":")[1]) });
  try {
    await withClient((client) => client.resolve(parseReference("plain.test:5000/plain:1"), AMD64), {
      env: { ALL_PROXY: proxy.host, HOME: "/nonexistent" },
      insecureRegistries: ["plain.test:5000"],
    });
    await withClient(
      (client) => failure(client.resolve(parseReference("plain.test:5000/plain:1"), AMD64), "registry.tls"),
      { env: { ALL_PROXY: proxy.host } },
    );
  } finally {
    await proxy.stop();
  }
});

function auth(text: string): string {
  return JSON.stringify({ auths: { HOST: { auth: Buffer.from(text).toString("base64") } } });
}

test.run();
