import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import { ground } from "./ground.ts";
import { addRows, type Ground } from "./rows.ts";
import { mounts } from "./tables/mounts.ts";

const server = http.createServer((_, answer) => answer.end("hello\n"));
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;

const Mounts = suite<Ground>(
  "RUN's options do the same in all four situations",
  await ground("mounts", ["busybox", "debian"]),
);
addRows(Mounts, mounts(port));
Mounts.after(async ({ situations }) => {
  server.closeAllConnections();
  server.close();
  await situations.close();
});
Mounts.run();
