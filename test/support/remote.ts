import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import * as path from "node:path";
import { workspace } from "./workspace.ts";

/** A server of files and git repositories on loopback. */
export interface RemoteServer {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly host: string;
  /** Files at their path; a function is asked at each request. */
  readonly files: Map<string, Buffer | ((request: IncomingMessage, response: ServerResponse) => void)>;
  /** Folder of bare repositories, which are served below `/git/`. */
  readonly repositories: string;
  /** Each request as `METHOD path status`. */
  readonly log: string[];
  /** What an `Authorization` header has to be, if anything. */
  authorization: string | undefined;
  readonly stop: () => Promise<void>;
}

export const LAST_MODIFIED = "Tue, 02 Jan 2024 03:04:05 GMT";

/** Starts one; `await server.stop()` in the end. */
export async function startRemoteServer(): Promise<RemoteServer> {
  const files: RemoteServer["files"] = new Map();
  const log: string[] = [];
  const repositories = workspace("kbuild-repositories");
  const server = createServer((request, response) => {
    response.on("finish", () => log.push(`${request.method} ${request.url} ${response.statusCode}`));
    const { authorization } = state;
    if (authorization !== undefined && request.headers.authorization !== authorization) {
      response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
    } else if (request.url?.startsWith("/git/")) serveGit(repositories, request, response);
    else serveFile(files.get(request.url ?? ""), request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const state: RemoteServer = {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    files,
    repositories,
    log,
    authorization: undefined,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return state;
}

function serveFile(
  file: Buffer | ((request: IncomingMessage, response: ServerResponse) => void) | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (file === undefined) {
    response.writeHead(404).end("none");
    return;
  }
  if (typeof file === "function") {
    file(request, response);
    return;
  }
  const etag = `"${createHash("md5").update(file).digest("hex")}"`;
  const headers = { etag, "last-modified": LAST_MODIFIED };
  if (request.headers["if-none-match"] === etag) response.writeHead(304, headers).end();
  else response.writeHead(200, { ...headers, "content-length": file.length }).end(file);
}

/** git-http-backend(1), by CGI (RFC 3875). */
function serveGit(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://localhost");
  const backend = spawn("git", ["http-backend"], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      REQUEST_METHOD: request.method,
      PATH_INFO: url.pathname.slice("/git".length),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: String(request.headers["content-encoding"] ?? ""),
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
  });
  request.pipe(backend.stdin);
  const parts: Buffer[] = [];
  backend.stdout.on("data", (part: Buffer) => parts.push(part));
  backend.on("close", () => {
    const answer = Buffer.concat(parts);
    const end = answer.indexOf("\r\n\r\n");
    const headers = answer.toString("latin1", 0, end).split("\r\n");
    let status = 200;
    for (const header of headers) {
      const [name = "", value = ""] = header.split(/: (.*)/s);
      if (name === "Status") status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status).end(answer.subarray(end + 4));
  });
}

/** Runs git in a folder with an author and a time that are always the same. */
export function git(folder: string, ...argv: readonly string[]): string {
  return execFileSync("git", ["-c", "protocol.file.allow=always", ...argv], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_AUTHOR_NAME: "A",
      GIT_AUTHOR_EMAIL: "a@example.com",
      GIT_COMMITTER_NAME: "A",
      GIT_COMMITTER_EMAIL: "a@example.com",
      GIT_AUTHOR_DATE: "2024-01-02T03:04:05Z",
      GIT_COMMITTER_DATE: "2024-01-02T03:04:05Z",
    },
  }).trim();
}

/** Makes what a work tree has committed be served as `/git/NAME.git`. */
export function publish(server: RemoteServer, tree: string, name: string): void {
  const bare = path.join(server.repositories, `${name}.git`);
  fs.rmSync(bare, { recursive: true, force: true });
  git(tree, "clone", "--quiet", "--bare", "--mirror", ".", bare);
}
