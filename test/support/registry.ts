import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Agent, fetch, type RequestInit, type Response } from "undici";
import { type Descriptor, type Digest, type Manifest, MediaType, type Platform } from "../../src/oci/types.ts";

/** A real registry, Debian's `docker-registry`, on a free port of this machine. */
export interface TestRegistry {
  /** `127.0.0.1:40123`. */
  readonly host: string;
  readonly url: string;
  /** Everything that it logged so far, requests included. */
  readonly log: () => string;
  /** Puts blobs and manifests in by plain HTTP. */
  readonly put: (repository: string, tag: string, image: TestImage | TestIndex) => Promise<void>;
  /** Copies with skopeo: `copy("oci:/some/layout:tag", "repository:tag")`. */
  readonly copy: (source: string, destination: string) => void;
  readonly stop: () => Promise<void>;
}

export interface TestRegistryOptions {
  /** Names and passwords that it asks for. */
  readonly htpasswd?: Readonly<Record<string, string>>;
  readonly tls?: TestCertificate;
}

export interface TestBlob {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** An image of one platform, made without any of kbuild's own code for it. */
export interface TestImage {
  readonly manifest: TestBlob;
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
}

export interface TestIndex {
  readonly index: TestBlob;
  readonly images: readonly (TestImage | TestIndex)[];
}

/** A certificate that signs itself. */
export interface TestCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Starts a registry; `const registry = await startRegistry()`, and in the end `await registry.stop()`. */
export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  need("docker-registry", "docker-registry");
  const folder = mkdtempSync(join(tmpdir(), "kbuild-registry-"));
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const scheme = options.tls ? "https" : "http";
  const [user] = Object.entries(options.htpasswd ?? {});
  writeFileSync(join(folder, "config.yml"), configuration(folder, host, options));
  const child = spawn("docker-registry", ["serve", join(folder, "config.yml")], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, OTEL_TRACES_EXPORTER: "none" },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilListening(port, child, () => log);
  } catch (error) {
    await stop();
    throw error;
  }
  const login: Record<string, string> = user
    ? { authorization: `Basic ${Buffer.from(user.join(":")).toString("base64")}` }
    : {};
  return {
    host,
    url: `${scheme}://${host}`,
    log: () => log,
    put: (repository, tag, image) => putAll(`${scheme}://${host}/v2/${repository}`, tag, image, login),
    copy: (source, destination) => {
      need("skopeo", "skopeo");
      const credentials = user ? ["--dest-creds", user.join(":")] : [];
      const target = `docker://${host}/${destination}`;
      execFileSync("skopeo", ["copy", "-q", "--all", "--dest-tls-verify=false", ...credentials, source, target], {
        stdio: ["ignore", "ignore", "pipe"],
      });
    },
    stop,
  };
}

/** An image with the given layers, uncompressed tars or whatever the test takes for them. */
export function testImage(
  layers: readonly Buffer[] = [Buffer.alloc(1024)],
  options: { platform?: Platform; docker?: boolean; config?: object } = {},
): TestImage {
  const { docker = false, platform = { os: "linux", architecture: "amd64" } } = options;
  const config = testBlob(docker ? MediaType.dockerConfig : MediaType.ociConfig, {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: { Env: ["A=1"], Cmd: ["true"], ...options.config },
    rootfs: { type: "layers", diff_ids: layers.map(digestOf) },
    history: layers.map((_, number) => ({ created_by: `layer ${number}` })),
  });
  const blobs = layers.map((layer) =>
    testBlob(docker ? MediaType.dockerLayerGzip : MediaType.ociLayerGzip, gzipSync(layer, { level: 1 })),
  );
  const mediaType = docker ? MediaType.dockerManifest : MediaType.ociManifest;
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType,
    config: config.descriptor,
    layers: blobs.map(({ descriptor }) => descriptor),
  };
  return { manifest: testBlob(mediaType, manifest), config, layers: blobs };
}

/** An index of images by platform (`linux/arm/v7`, or "" for an entry without one). */
export function testIndex(
  images: Readonly<Record<string, TestImage | TestIndex>>,
  mediaType: string = MediaType.ociIndex,
): TestIndex {
  const manifests = Object.entries(images).map(([name, image]) => {
    const [os = "", architecture = "", variant] = name.split("/");
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
    return { ...topOf(image).descriptor, ...(name === "" ? {} : { platform }) };
  });
  return { index: testBlob(mediaType, { schemaVersion: 2, mediaType, manifests }), images: Object.values(images) };
}

/** Bytes, or a value as JSON, with the descriptor of them. */
export function testBlob(mediaType: string, content: Buffer | object): TestBlob {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

export function topOf(image: TestImage | TestIndex): TestBlob {
  return "index" in image ? image.index : image.manifest;
}

/** A certificate for names and addresses, like `DNS:registry.test,IP:127.0.0.1`, in a folder. */
export function makeCertificate(folder: string, names: string): TestCertificate {
  need("openssl", "openssl");
  const certificate = join(folder, "certificate.pem");
  const key = join(folder, "key.pem");
  const subject = ["-subj", "/CN=kbuild test", "-addext", `subjectAltName=${names}`];
  const files = ["-keyout", key, "-out", certificate];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      ...subject,
      ...files,
    ],
    { stdio: "pipe" },
  );
  return { certificate, key };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== "object" || address === null) throw new Error("no free port");
  return address.port;
}

function digestOf(bytes: Buffer): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function configuration(folder: string, host: string, { htpasswd, tls }: TestRegistryOptions): string {
  const lines = [
    "version: 0.1",
    "log: {level: info, accesslog: {disabled: false}}",
    `storage: {filesystem: {rootdirectory: ${JSON.stringify(join(folder, "data"))}}, delete: {enabled: true}}`,
    "http:",
    `  addr: ${host}`,
    "  secret: test",
    ...(tls ? [`  tls: {certificate: ${JSON.stringify(tls.certificate)}, key: ${JSON.stringify(tls.key)}}`] : []),
  ];
  if (htpasswd) {
    need("htpasswd", "apache2-utils");
    const path = join(folder, "htpasswd");
    const entries = Object.entries(htpasswd).map(([name, password]) =>
      execFileSync("htpasswd", ["-nbB", "-C", "4", name, password], { encoding: "utf8" }).trim(),
    );
    writeFileSync(path, `${entries.join("\n")}\n`);
    lines.push("auth:", `  htpasswd: {realm: test, path: ${JSON.stringify(path)}}`);
  }
  return `${lines.join("\n")}\n`;
}

async function putAll(
  base: string,
  tag: string,
  image: TestImage | TestIndex,
  login: Readonly<Record<string, string>>,
): Promise<void> {
  if ("index" in image) for (const each of image.images) await putAll(base, topOf(each).descriptor.digest, each, login);
  else for (const blob of [image.config, ...image.layers]) await putBlob(base, blob, login);
  const { bytes, descriptor } = topOf(image);
  const headers = { ...login, "content-type": descriptor.mediaType };
  await send(`${base}/manifests/${tag}`, { method: "PUT", headers, body: new Uint8Array(bytes) });
}

async function putBlob(base: string, { bytes, descriptor }: TestBlob, login: Readonly<Record<string, string>>) {
  const started = await send(`${base}/blobs/uploads/`, { method: "POST", headers: login });
  const location = new URL(started.headers.get("location") ?? "", base);
  location.searchParams.set("digest", descriptor.digest);
  const headers = { ...login, "content-type": "application/octet-stream" };
  await send(location, { method: "PUT", headers, body: new Uint8Array(bytes) });
}

/** The registry may have a certificate of its own making. */
const anyCertificate = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 10, pipelining: 0 });

async function send(url: string | URL, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, dispatcher: anyCertificate });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${text}`);
  return response;
}

async function untilListening(port: number, child: ChildProcess, log: () => string): Promise<void> {
  const { connect } = await import("node:net");
  for (let tries = 0; tries < 400; tries++) {
    if (child.exitCode !== null) break;
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`docker-registry did not start:\n${log()}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

/** That a program is there: root installs it when it is not, and everybody else is told what to install. */
function need(program: string, debianPackage: string): void {
  const folders = (process.env.PATH ?? "").split(":");
  if (folders.some((folder) => existsSync(join(folder, program)))) return;
  if (process.getuid?.() !== 0) throw new Error(`${program} is missing: apt-get install ${debianPackage}`);
  execFileSync("apt-get", ["install", "-qq", "-y", "--no-install-recommends", debianPackage], { stdio: "pipe" });
}
