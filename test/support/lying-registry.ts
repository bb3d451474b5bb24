import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type TestBlob, type TestCertificate, type TestImage, type TestIndex, topOf } from "./registry.ts";

/** What a server does instead of the truth. `honest` sends the truth after all. */
export type Lie = (request: IncomingMessage, response: ServerResponse, honest: () => void) => void | Promise<void>;

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A small registry that holds images, answers Ranges, and lies when told to. */
export interface LyingRegistry {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Every request, in order. */
  readonly seen: SeenRequest[];
  readonly put: (repository: string, tag: string, image: TestImage | TestIndex) => void;
  /** The next `times` requests whose path matches get the lie; the lies for a path are used up in order. */
  readonly lie: (path: RegExp, lie: Lie, times?: number) => void;
  readonly stop: () => Promise<void>;
}

/** Starts one; `const registry = await startLyingRegistry()`, and in the end `await registry.stop()`. */
export async function startLyingRegistry(tls?: TestCertificate): Promise<LyingRegistry> {
  const content = new Map<string, TestBlob>();
  const lies: { path: RegExp; lie: Lie; times: number }[] = [];
  const seen: SeenRequest[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, headers, body: Buffer.concat(chunks).toString("utf8") });
    const found = lies.find(({ path, times }) => times > 0 && path.test(url));
    const honest = (): void => serve(content.get(url), request, response);
    if (found === undefined) return honest();
    found.times -= 1;
    await found.lie(request, response, honest);
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => response.destroy());
  };
  const server = tls
    ? createHttpsServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, listener)
    : createHttpServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const put = (repository: string, tag: string, image: TestImage | TestIndex): void => {
    const blobs = "index" in image ? [] : [image.config, ...image.layers];
    for (const blob of blobs) content.set(`/v2/${repository}/blobs/${blob.descriptor.digest}`, blob);
    const top = topOf(image);
    for (const name of [tag, top.descriptor.digest]) content.set(`/v2/${repository}/manifests/${name}`, top);
    if ("index" in image) for (const each of image.images) put(repository, topOf(each).descriptor.digest, each);
  };
  return {
    host: `127.0.0.1:${port}`,
    port,
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    seen,
    put,
    lie: (path, lie, times = Number.POSITIVE_INFINITY) => lies.push({ path, lie, times }),
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function serve(blob: TestBlob | undefined, request: IncomingMessage, response: ServerResponse): void {
  if (blob === undefined) {
    response.writeHead(404, { "content-type": "application/json" });
    response.end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    return;
  }
  const { bytes, descriptor } = blob;
  const headers = { "content-type": descriptor.mediaType, "docker-content-digest": descriptor.digest };
  const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
  if (from === undefined) {
    response.writeHead(200, { ...headers, "content-length": bytes.length });
    response.end(bytes);
    return;
  }
  const rest = bytes.subarray(Number(from));
  const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(206, { ...headers, "content-length": rest.length, "content-range": range });
  response.end(rest);
}

/** Any answer. */
export function answering(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Buffer = "",
): Lie {
  return (_, response) => {
    response.writeHead(status, headers);
    response.end(body);
  };
}

/** A good beginning: `length` is claimed, `bytes` are sent, and the connection is cut. */
export function cutting(
  bytes: Buffer,
  length: number,
  headers: Readonly<Record<string, string>> = {},
  status = 200,
): Lie {
  return (_, response) => {
    response.writeHead(status, { ...headers, "content-length": length });
    response.flushHeaders();
    response.write(bytes, () => setTimeout(() => response.destroy(), 150));
  };
}

/** Cuts the connection before any answer. */
export const hangUp: Lie = (request) => {
  request.socket.destroy();
};

/** Says nothing, for ever. */
export const silence: Lie = () => {};

/** Sends the bytes in pieces with pauses in between. */
export function trickling(bytes: Buffer, piece: number, pause: number): Lie {
  return async (_, response) => {
    response.writeHead(200, { "content-length": bytes.length });
    for (let at = 0; at < bytes.length && !response.destroyed; at += piece) {
      response.write(bytes.subarray(at, at + piece));
      await sleep(pause);
    }
    response.end();
  };
}

/** A proxy that brings every host of a table to a port of this machine, by CONNECT or by forwarding. */
export interface TestProxy {
  readonly host: string;
  readonly seen: { readonly target: string; readonly headers: IncomingMessage["headers"] }[];
  readonly stop: () => Promise<void>;
}

export async function startProxy(hosts: Readonly<Record<string, number>>, status = 200): Promise<TestProxy> {
  const seen: { target: string; headers: IncomingMessage["headers"] }[] = [];
  const sockets = new Set<Socket>();
  const { request: httpRequest } = await import("node:http");
  const server = createHttpServer((request, response) => {
    const url = new URL(request.url ?? "");
    seen.push({ target: url.href, headers: request.headers });
    const port = hosts[url.host];
    if (status !== 200 || port === undefined) {
      response.writeHead(status === 200 ? 502 : status);
      response.end();
      return;
    }
    const { "proxy-authorization": _, ...headers } = request.headers;
    const onward = httpRequest({ host: "127.0.0.1", port, path: url.pathname, method: request.method, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  server.on("connect", (request: IncomingMessage, client: Socket) => {
    seen.push({ target: request.url ?? "", headers: request.headers });
    sockets.add(client);
    client.on("error", () => {});
    const port = hosts[request.url ?? ""];
    if (status !== 200 || port === undefined) {
      client.end(`HTTP/1.1 ${status === 200 ? 502 : status} No\r\n\r\n`);
      return;
    }
    const onward = connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.pipe(client);
      client.pipe(onward);
    });
    sockets.add(onward);
    onward.on("error", () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    host: `127.0.0.1:${port}`,
    seen,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
